import type { S4dArgs, S4dGradients, Tensor } from '../backend.js'
import { recurrenceGradient, recurrenceOf, type S4dParameters } from '../s4d.js'
import { type Part, readingOrder } from '../segments.js'
import { expectState, firstRow, stateOf, stepOf } from './segments.js'
import {
  addNumbers,
  at,
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

/** See `Backend.s4d`. The kernel takes modes in fours, so others are padded with modes that stay and give nothing. */
export function s4d(machine: Machine, args: S4dArgs, state: Tensor | null): CpuTensor {
  const { H, M, width, parameters } = checkS4d(machine, args)
  const { kernels, memory } = machine
  const { direction } = args
  const u = cpu(args.u)
  const parts = readingOrder(args.segments, direction, u.rows)
  expectState('s4d state', state, H, 2 * M, parts)
  const y = newTensor(machine, u.rows, H)
  withScratch(machine, H * width * 24, (modes) => {
    const x = modes + H * width * 16
    writeModes(machine, parameters, M, width, modes)
    for (const part of parts) {
      kernels.clear({ at: x, bytes: H * width * 8 })
      const kept = stateOf(state, part, H)
      const { f32 } = memory
      /** Number i of the scratch for number m of the state of channel h, [M, 2] there and [2, width] here. */
      const inScratch = (h: number, m: number) => x / 4 + 2 * h * width + (m & 1) * width + (m >> 1)
      const copy = (move: (inState: number, here: number) => void) => {
        for (let h = 0; h < H; h++) for (let m = 0; m < 2 * M; m++) move(kept / 4 + 2 * h * M + m, inScratch(h, m))
      }
      if (kept && part.resumes)
        copy((inState, here) => {
          f32[here] = f32[inState]
        })
      kernels.s4dRows({
        rows: part.rows,
        H,
        M: width,
        u: firstRow(u, part, direction),
        uStep: stepOf(u, direction),
        modes,
        D: at(args.D),
        state: x,
        out: firstRow(y, part, direction),
        outStep: stepOf(y, direction),
      })
      if (kept)
        copy((inState, here) => {
          f32[inState] = f32[here]
        })
    }
  })
  return y
}

/** See `Gradients.s4d`. */
export function s4dGradient(machine: Machine, dy: Tensor, args: S4dArgs, into: S4dGradients): void {
  const { H, M, width, parameters } = checkS4d(machine, args)
  const { kernels, memory } = machine
  const { direction } = args
  const [u, d, du] = [cpu(args.u), cpu(dy), into.du && cpu(into.du)]
  for (const one of [dy, du]) expectShape('gradient', one, u.rows, H)
  const parts = readingOrder(args.segments, direction, u.rows)
  const longest = parts.reduce((most: number, { rows }: Part) => Math.max(most, rows), 0)
  const dD = newTensor(machine, 1, H)
  kernels.clear({ at: dD.at, bytes: H * 4 })
  const scratchBytes = kernels.s4dGradScratch({ rows: longest, M: width })
  const [dw, dc] = [new Float64Array(2 * H * M), new Float64Array(2 * H * M)]
  withScratch(machine, H * width * 32 + scratchBytes, (modes) => {
    const dModes = modes + H * width * 16
    writeModes(machine, parameters, M, width, modes)
    kernels.clear({ at: dModes, bytes: H * width * 16 })
    for (const part of parts) {
      kernels.s4dGrad({
        rows: part.rows,
        H,
        M: width,
        u: firstRow(u, part, direction),
        uStep: stepOf(u, direction),
        dy: firstRow(d, part, direction),
        dyStep: stepOf(d, direction),
        modes,
        D: at(args.D),
        du: du ? firstRow(du, part, direction) : 0,
        duStep: du ? stepOf(du, direction) : 0,
        dModes,
        dD: dD.at,
        scratch: dModes + H * width * 16,
      })
    }
    const { f32 } = memory
    for (let i = 0; i < H * M; i++) {
      const from = dModes / 4 + 4 * width * Math.floor(i / M) + (i % M)
      dw.set([f32[from], f32[from + width]], 2 * i)
      dc.set([f32[from + 2 * width], f32[from + 3 * width]], 2 * i)
    }
  })
  const gradient = recurrenceGradient(parameters, dw, dc)
  addNumbers(machine, into.dlog_dt, gradient.log_dt)
  addNumbers(machine, into.dlog_A_real, gradient.log_A_real)
  addNumbers(machine, into.dA_imag, gradient.A_imag)
  addNumbers(machine, into.dC, gradient.C)
  addNumbers(machine, into.dD, numbers(machine, dD))
  freeTensor(machine, dD)
}

/** Checks all shapes; width: M as the kernel takes it. */
function checkS4d(machine: Machine, args: S4dArgs) {
  const [H, M] = [args.u.cols, args.A_imag.cols]
  expectShape('log_dt', args.log_dt, 1, H)
  expectShape('log_A_real', args.log_A_real, H, M)
  expectShape('A_imag', args.A_imag, H, M)
  expectShape('C', args.C, H, 2 * M)
  expectShape('D', args.D, 1, H)
  const host = (name: 'log_dt' | 'log_A_real' | 'A_imag' | 'C') => {
    expectContiguous(name, args[name])
    return numbers(machine, cpu(args[name])).slice()
  }
  const parameters: S4dParameters = {
    log_dt: host('log_dt'),
    log_A_real: host('log_A_real'),
    A_imag: host('A_imag'),
    C: host('C'),
    discretisation: args.discretisation,
  }
  return { H, M, width: Math.ceil(M / 4) * 4, parameters }
}

/** [w re, w im, c re, c im] of every channel at `modes`. */
function writeModes({ memory }: Machine, parameters: S4dParameters, M: number, width: number, modes: number): void {
  const { w, c } = recurrenceOf(parameters)
  const H = parameters.log_dt.length
  const { f32 } = memory
  f32.fill(0, modes / 4, modes / 4 + 4 * H * width)
  for (let i = 0; i < H * M; i++) {
    const to = modes / 4 + 4 * width * Math.floor(i / M) + (i % M)
    f32[to] = w[2 * i]
    f32[to + width] = w[2 * i + 1]
    f32[to + 2 * width] = c[2 * i]
    f32[to + 3 * width] = c[2 * i + 1]
  }
}
