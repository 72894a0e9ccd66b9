import type { GatedDeltaArgs, GatedDeltaGradients, Tensor } from '../../backend.js'
import { gatedDeltaShape } from '../../gated-delta.js'
import { factorsOf } from '../gated-delta.js'
import type { Machine } from '../machine.js'
import { partsOf } from '../parts.js'
import { groupsOf, type Range, rangesOf } from '../ranges.js'
import { together } from '../scan.js'
import { columnsOf, type GpuTensor, gpu, optional } from '../tensor.js'
import { put } from './elementwise.js'
import { foldRows } from './fold.js'
import { backKernel, bordersKernel, givenKernel, headsKernel, pieceRows, statesKernel } from './gated-delta-kernels.js'
import { piecesOf, someOf, spreadKernel } from './pieces.js'
import { acrossKernel, known } from './scan-kernels.js'

/** As many heads at a time as there is room for: of a piece row by row, and of the states of all pieces. */
export function gatedDeltaGradient(
  machine: Machine,
  dy: Tensor,
  args: GatedDeltaArgs,
  into: GatedDeltaGradients,
): void {
  const { T, H, G, K, V } = gatedDeltaShape(args)
  const { count } = piecesOf(partsOf(args.segments, args.direction, T).parts, args.direction, pieceRows)
  const most = machine.roomBytes / 4 / V / Math.max(pieceRows * K, pieceRows * known, count * K)
  for (const heads of rangesOf(H, G, most)) {
    const groups = groupsOf(heads, H, G)
    const columns = <X extends Tensor | null>(x: X, [from, to]: Range, width = 1) =>
      (x ? columnsOf(gpu(x), from * width, to * width) : x) as X
    const { q, k, v, dt, beta, A_log, dtBias } = args
    ofHeads(
      machine,
      columns(dy, heads, V),
      {
        ...args,
        ...{
          q: columns(q, groups, K),
          k: columns(k, groups, K),
          groups: groups[1] - groups[0],
          v: columns(v, heads, V),
        },
        ...{ dt: columns(dt, heads), beta: columns(beta, heads), A_log: columns(A_log, heads) },
        dtBias: columns(dtBias, heads),
      },
      {
        ...{ dq: columns(into.dq, groups, K), dk: columns(into.dk, groups, K), dv: columns(into.dv, heads, V) },
        ...{ ddt: columns(into.ddt, heads), dbeta: columns(into.dbeta, heads), dA_log: columns(into.dA_log, heads) },
        ddtBias: columns(into.ddtBias, heads),
      },
    )
  }
}

/**
 * One thread for each column of the values goes from end to end of a segment for the states at the borders of its pieces, there and back; the
 * states of some pieces at a time follow from them, row by row, and the gradients from those.
 */
function ofHeads(machine: Machine, dy: Tensor, args: GatedDeltaArgs, into: GatedDeltaGradients): void {
  const { T, H, G, K, V } = gatedDeltaShape(args)
  const E = H * V
  const backwards = args.direction === 'reverse' ? 1 : 0
  const across = Math.ceil(E / 64)
  const { parts } = partsOf(args.segments, args.direction, T)
  const R = pieceRows
  const { segments, pieces, count: all } = piecesOf(parts, args.direction, R)
  const [v, d] = [gpu(args.v, T, E), gpu(dy, T, E)]
  const { BC: qk, places, copied } = together(machine, gpu(args.q, T, G * K), gpu(args.k, T, G * K))
  const factors = factorsOf(machine, args, T, H)
  const [before, after] = [0, 1].map(() => machine.allocate(all, E * K))
  const rows = machine.allocate(T, 3 * H)
  const numbers = { E, H, G, V, R, across, backwards, ...places }
  machine.run(bordersKernel(K), {
    tensors: { qk, v, d, factors, before, after },
    tables: { segments },
    numbers,
    blocks: parts.length * across,
  })
  for (const some of someOf(machine, pieces, 4 * R * E * Math.max(K, known))) {
    const tables = { pieces: some }
    const count = some.length / 4
    const [given, states] = [machine.allocate(count * R, known * E), machine.allocate(count * R, E * K)]
    const each = { ...numbers, count }
    const threads = (count: number) => Math.ceil(count / 64)
    const addAcross = (weigh: number, y: GpuTensor | null) => {
      if (!y) return
      const blocks = threads(count * R * G * K)
      machine.run(acrossKernel(K), { tensors: { given, states, y }, tables, numbers: { ...each, weigh }, blocks })
    }
    machine.run(givenKernel, { tensors: { v, d, given }, tables, numbers: each, blocks: threads(count * R * E) })
    machine.run(statesKernel(K), {
      tensors: { qk, factors, before, given, states },
      tables,
      numbers: each,
      blocks: count * across,
    })
    addAcross(3, optional(into.dq, T, G * K))
    machine.run(backKernel(K), {
      tensors: { qk, factors, before, after, given, states },
      tables,
      numbers: each,
      blocks: count * across,
    })
    addAcross(0, optional(into.dk, T, G * K))
    const dv = optional(into.dv, T, E)
    if (dv)
      machine.run(spreadKernel, {
        tensors: { x: columnsOf(given, 4 * E, 5 * E), y: dv },
        tables,
        numbers: { ...each, cols: E },
        blocks: threads(count * R * E),
      })
    const [dt, beta, A_log, bias] = [
      gpu(args.dt, T, H),
      gpu(args.beta, T, H),
      gpu(args.A_log, 1, H),
      gpu(args.dtBias, 1, H),
    ]
    machine.run(headsKernel, {
      tensors: { given, dt, beta, A_log, bias, y: rows },
      tables,
      numbers: each,
      blocks: threads(count * R * H),
    })
    machine.release(given)
    machine.release(states)
  }
  const column = (i: number) => columnsOf(rows, i * H, (i + 1) * H)
  put(machine, into.ddt, '+=', 'x_one', { x: column(0) })
  put(machine, into.dbeta, '+=', 'x_one', { x: column(1) })
  foldRows(machine, column(0), optional(into.ddtBias, 1, H))
  foldRows(machine, column(2), optional(into.dA_log, 1, H))
  for (const x of [factors, before, after, rows]) machine.release(x)
  if (copied) machine.release(qk)
}
