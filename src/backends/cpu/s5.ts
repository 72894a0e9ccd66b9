import type { S5Args, S5Gradients, Tensor } from '../backend.js'
import { type S5Parameters, s5ParametersGradient, stepsOf } from '../s5.js'
import { readingOrder } from '../segments.js'
import { expectState, firstRow, stateOf, stepOf } from './segments.js'
import {
  addNumbers,
  type CpuTensor,
  cpu,
  expectContiguous,
  expectShape,
  freeTensor,
  type Machine,
  newTensor,
  numbers,
  withScratch,
} from './tensor.js'

/** See `Backend.s5`. */
export function s5(machine: Machine, args: S5Args, state: Tensor | null): CpuTensor {
  const { P, width, padded, parameters } = checkS5(machine, args)
  const { kernels, memory } = machine
  const { direction } = args
  const u = cpu(args.u)
  const parts = readingOrder(args.segments, direction, u.rows)
  expectState('s5 state', state, P, 2, parts)
  const y = newTensor(machine, u.rows, width)
  withScratch(machine, 5 * padded * 4, (modes) => {
    const x = modes + 4 * padded * 4
    writeModes(machine, parameters, padded, modes)
    for (const part of parts) {
      const kept = stateOf(state, part, P)
      const { f32 } = memory
      if (kept && part.resumes) f32.copyWithin(x / 4, kept / 4, kept / 4 + width)
      else f32.fill(0, x / 4, x / 4 + padded)
      const [from, to] = [firstRow(u, part, direction), firstRow(y, part, direction)]
      const [uStep, outStep] = [stepOf(u, direction), stepOf(y, direction)]
      kernels.s5Rows({ rows: part.rows, width, padded, u: from, uStep, modes, state: x, out: to, outStep })
      if (kept) f32.copyWithin(kept / 4, x / 4, x / 4 + width)
    }
  })
  return y
}

/** See `Gradients.s5`. The states are computed once more. */
export function s5Gradient(machine: Machine, dy: Tensor, args: S5Args, into: S5Gradients): void {
  const { P, width, padded, parameters } = checkS5(machine, args)
  const { kernels, memory } = machine
  const { direction } = args
  const [u, d, du] = [cpu(args.u), cpu(dy), into.du && cpu(into.du)]
  for (const one of [dy, du]) expectShape('gradient', one, u.rows, width)
  const x = s5(machine, args, null)
  const [dw, dheld] = [new Float64Array(width), new Float64Array(width)]
  withScratch(machine, 9 * padded * 4, (modes) => {
    const sums = modes + 4 * padded * 4
    const adjoint = sums + 4 * padded * 4
    writeModes(machine, parameters, padded, modes)
    kernels.clear({ at: sums, bytes: 4 * padded * 4 })
    for (const part of readingOrder(args.segments, direction, u.rows)) {
      kernels.clear({ at: adjoint, bytes: padded * 4 })
      kernels.s5Grad({
        rows: part.rows,
        width,
        padded,
        u: firstRow(u, part, direction),
        uStep: stepOf(u, direction),
        x: firstRow(x, part, direction),
        xStep: stepOf(x, direction),
        dy: firstRow(d, part, direction),
        dyStep: stepOf(d, direction),
        modes,
        du: du ? firstRow(du, part, direction) : 0,
        duStep: du ? stepOf(du, direction) : 0,
        sums,
        adjoint,
      })
    }
    // g conj(x): re re + im im, and im re - re im.
    const { f32 } = memory
    for (const [gradient, row] of [dw, dheld].map((each, i) => [each, sums / 4 + 2 * i * padded] as const))
      for (let p = 0; p < 2 * P; p += 2)
        gradient.set([f32[row + p] + f32[row + p + 1], f32[row + padded + p + 1] - f32[row + padded + p]], p)
  })
  freeTensor(machine, x)
  const gradient = s5ParametersGradient(parameters, dw, dheld)
  addNumbers(machine, into.dLambda, gradient.Lambda)
  addNumbers(machine, into.dlog_step, gradient.log_step)
}

/** Checks all shapes. width: numbers of P modes; padded: as the kernel keeps them. */
function checkS5(machine: Machine, { u, Lambda, log_step }: S5Args) {
  const P = log_step.cols
  expectShape('u', u, u.rows, 2 * P)
  expectShape('Lambda', Lambda, P, 2)
  expectShape('log_step', log_step, 1, P)
  for (const each of [Lambda, log_step]) expectContiguous('s5 parameters', each)
  const host = (x: Tensor) => numbers(machine, cpu(x)).slice()
  const parameters: S5Parameters = { Lambda: host(Lambda), log_step: host(log_step) }
  return { P, width: 2 * P, padded: 4 * Math.ceil(P / 2), parameters }
}

/** Four rows [padded] at `modes`, as kernels/s5.ts reads them. */
function writeModes({ memory }: Machine, parameters: S5Parameters, padded: number, modes: number): void {
  const { f32 } = memory
  const row = modes / 4
  f32.fill(0, row, row + 4 * padded)
  stepsOf(parameters).forEach(({ w, held }, p) => {
    const at = row + 2 * p
    for (const [i, [re, im]] of [w, held].entries()) {
      f32.set([re, re], at + 2 * i * padded)
      f32.set([-im, im], at + (2 * i + 1) * padded)
    }
  })
}
