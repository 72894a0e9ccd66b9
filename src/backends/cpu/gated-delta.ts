import type { GatedDeltaArgs, GatedDeltaGradients, Tensor } from '../backend.js'
import { gatedDeltaShape } from '../gated-delta.js'
import { type Part, readingOrder } from '../segments.js'
import { expectState, firstRow, stateOf, stepOf } from './segments.js'
import { at, CpuTensor, cpu, expectShape, freeTensor, type Machine, newTensor, withScratch } from './tensor.js'

/** See `Backend.gatedDelta`. */
export function gatedDelta(machine: Machine, args: GatedDeltaArgs, state: Tensor | null): CpuTensor {
  const { T, H, K, V } = checkGatedDelta(args)
  const { kernels } = machine
  const { direction } = args
  const parts = readingOrder(args.segments, direction, T)
  expectState('gated delta state', state, H * K, V, parts)
  const y = newTensor(machine, T, H * V)
  const bytes = H * K * V * 4
  withScratch(machine, bytes, (room) => {
    for (const part of parts) {
      const carried = stateOf(state, part, H * K)
      const h = carried || room
      if (!part.resumes || !carried) kernels.clear({ at: h, bytes })
      const out = { out: firstRow(y, part, direction), outStep: stepOf(y, direction) }
      withScratch(machine, kernels.deltaScratch({ rows: part.rows, K }), (scratch) =>
        kernels.deltaRows({ ...operands(args, part), h, scratch, ...out }),
      )
    }
  })
  return y
}

/** See `Gradients.gatedDelta`. The states are computed once more, of each block of rows twice. */
export function gatedDeltaGradient(
  machine: Machine,
  dy: Tensor,
  args: GatedDeltaArgs,
  into: GatedDeltaGradients,
): void {
  const { T, H, G, K, V } = checkGatedDelta(args)
  const { kernels } = machine
  const { direction } = args
  for (const one of [dy, into.dv]) expectShape('gradient', one, T, H * V)
  for (const one of [into.dq, into.dk]) expectShape('gradient of q or k', one, T, G * K)
  for (const one of [into.ddt, into.dbeta]) expectShape('gradient of dt or beta', one, T, H)
  for (const one of [into.dA_log, into.ddtBias]) expectShape('gradient of a head', one, 1, H)
  // All its rows are the same one.
  const nowhere = new CpuTensor(newTensor(machine, 1, Math.max(H * V, G * K)).at, T, 0, 0, true)
  const given = { dy, dq: into.dq, dk: into.dk, dv: into.dv, ddt: into.ddt, dbeta: into.dbeta }
  try {
    for (const part of readingOrder(args.segments, direction, T))
      withScratch(machine, kernels.deltaGradScratch({ rows: part.rows, K }), (scratch) =>
        kernels.deltaGrad({
          ...operands(args, part),
          ...rowsOf(given, nowhere, part, direction),
          dA_log: at(into.dA_log ?? nowhere),
          ddtBias: at(into.ddtBias ?? nowhere),
          scratch,
        }),
      )
  } finally {
    freeTensor(machine, nowhere)
  }
}

type Named<Name extends string, To> = { [name in Name]: To }

/** Where the rows of a part begin in each tensor, and how far they are apart. */
function rowsOf<Name extends string>(
  tensors: Named<Name, Tensor | null>,
  missing: CpuTensor | null,
  part: Part,
  direction: GatedDeltaArgs['direction'],
): Named<Name | `${Name}Step`, number> {
  const entries = Object.entries<Tensor | null>(tensors).flatMap(([name, tensor]) => {
    const x = cpu((tensor ?? missing)!)
    return [
      [name, firstRow(x, part, direction)],
      [`${name}Step`, stepOf(x, direction)],
    ]
  })
  return Object.fromEntries(entries)
}

/** What the kernels have in common. */
function operands(args: GatedDeltaArgs, part: Part) {
  const { q, k, v, dt, beta, A_log, dtBias, direction } = args
  const { H, G, K, V } = gatedDeltaShape(args)
  return {
    rows: part.rows,
    ...{ H, G, K, V },
    ...rowsOf({ q, k, v, dt, beta }, null, part, direction),
    A_log: at(A_log),
    dtBias: at(dtBias),
  }
}

/** Checks all shapes. */
function checkGatedDelta(args: GatedDeltaArgs) {
  const shape = gatedDeltaShape(args)
  const { T, H, G, K, V } = shape
  for (const one of [args.q, args.k]) expectShape('q or k', one, T, G * K)
  expectShape('v', args.v, T, H * V)
  for (const one of [args.dt, args.beta]) expectShape('dt or beta', one, T, H)
  for (const one of [args.A_log, args.dtBias]) expectShape('A_log or dtBias', one, 1, H)
  return shape
}
