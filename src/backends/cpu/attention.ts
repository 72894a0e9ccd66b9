import { type AttentionPart, placeOf, readAttention } from '../attention.js'
import type { AttentionArgs, AttentionCache, AttentionGradients, Tensor } from '../backend.js'
import { firstRow } from './segments.js'
import { type CpuTensor, cpu, expectContiguous, expectShape, type Machine, newTensor, withScratch } from './tensor.js'

/** Rows of keys and of values, where they lie one after the other. */
interface Rows {
  keys: number
  keyStep: number
  values: number
  valueStep: number
  /** How many of them are of rows before the segment. */
  before: number
}

/** See `Backend.attention`. */
export function attention(machine: Machine, args: AttentionArgs, cache: AttentionCache | null): CpuTensor {
  const { groups, capacity, parts } = readAttention(args, cache)
  const { heads, width: dim, scale, window } = args
  const [q, k, v] = [cpu(args.q), cpu(args.k), cpu(args.v)]
  for (const x of cache ? [cache.keys, cache.values] : []) {
    expectShape('attention cache', x, cache!.keys.rows, capacity * k.cols)
    expectContiguous('attention cache', x)
  }
  const y = newTensor(machine, q.rows, q.cols)
  for (const part of parts) {
    const keys = Math.min(window, part.start + part.rows)
    withScratch(machine, machine.kernels.attendScratch({ keys }), (scratch) =>
      withKeys(machine, k, v, cache, capacity, part, (rows) =>
        machine.kernels.attendRows({
          rows: part.rows,
          heads,
          share: heads / groups,
          dim,
          q: firstRow(q, part, 'forward'),
          qStep: q.step,
          k: rows.keys,
          kStep: rows.keyStep,
          v: rows.values,
          vStep: rows.valueStep,
          before: rows.before,
          window: keys,
          scale,
          out: firstRow(y, part, 'forward'),
          outStep: y.step,
          scratch,
        }),
      ),
    )
  }
  return y
}

/** Does something with the keys and values that the rows of a segment see, and leaves its own in the cache. */
function withKeys(
  machine: Machine,
  k: CpuTensor,
  v: CpuTensor,
  cache: AttentionCache | null,
  capacity: number,
  part: AttentionPart,
  attend: (rows: Rows) => void,
): void {
  const { kernels } = machine
  const [fromK, fromV] = [firstRow(k, part, 'forward'), firstRow(v, part, 'forward')]
  if (!cache || part.slot < 0) {
    attend({ keys: fromK, keyStep: k.step, values: fromV, valueStep: v.step, before: 0 })
    return
  }
  const { cols } = k
  const step = cols * 4
  const [keptK, keptV] = [cache.keys, cache.values].map((x) => cpu(x).at + part.slot * capacity * step)
  /** Copies rows from .. to - 1 of the segment to where the cache has room for them. */
  const keep = (from: number, to: number) => {
    for (let t = from; t < to; ) {
      const place = placeOf(part.start + t, capacity)
      const rows = Math.min(to - t, capacity - place)
      kernels.copyRows({ rows, cols, x: fromK + t * k.step, xStep: k.step, y: keptK + place * step, yStep: step })
      kernels.copyRows({ rows, cols, x: fromV + t * v.step, xStep: v.step, y: keptV + place * step, yStep: step })
      t += rows
    }
  }
  if (part.start + part.rows <= capacity) {
    keep(0, part.rows)
    attend({ keys: keptK, keyStep: step, values: keptV, valueStep: step, before: part.start })
    return
  }
  // The cache goes round: what is seen of it is put before the rows of the segment, the oldest first.
  const total = part.seen + part.rows
  withScratch(machine, 2 * total * step, (keys) => {
    const values = keys + total * step
    for (let r = 0; r < part.seen; ) {
      const place = placeOf(part.start - part.seen + r, capacity)
      const rows = Math.min(part.seen - r, capacity - place)
      const [x, y] = [place * step, r * step]
      kernels.copyRows({ rows, cols, x: keptK + x, xStep: step, y: keys + y, yStep: step })
      kernels.copyRows({ rows, cols, x: keptV + x, xStep: step, y: values + y, yStep: step })
      r += rows
    }
    const y = part.seen * step
    const { rows } = part
    kernels.copyRows({ rows, cols, x: fromK, xStep: k.step, y: keys + y, yStep: step })
    kernels.copyRows({ rows, cols, x: fromV, xStep: v.step, y: values + y, yStep: step })
    attend({ keys, keyStep: step, values, valueStep: step, before: part.seen })
  })
  keep(Math.max(0, part.rows - capacity), part.rows)
}

/** See `Gradients.attention`. */
export function attentionGradient(machine: Machine, dy: Tensor, args: AttentionArgs, into: AttentionGradients): void {
  const { groups, parts } = readAttention(args, null)
  const { heads, width: dim, scale, window } = args
  const [q, k, v, d] = [cpu(args.q), cpu(args.k), cpu(args.v), cpu(dy)]
  for (const one of [dy, into.dq]) expectShape('gradient', one, q.rows, q.cols)
  for (const one of [into.dk, into.dv]) expectShape('gradient', one, k.rows, k.cols)
  const [dq, dk, dv] = [into.dq, into.dk, into.dv].map((x) => x && cpu(x))
  const longest = parts.reduce((most, { rows }) => Math.max(most, rows), 0)
  withScratch(machine, 2 * machine.kernels.attendScratch({ keys: longest }), (scratch) => {
    for (const part of parts) {
      const first = (x: CpuTensor | null) => (x ? firstRow(x, part, 'forward') : 0)
      machine.kernels.attendGrad({
        rows: part.rows,
        heads,
        share: heads / groups,
        dim,
        q: first(q),
        qStep: q.step,
        k: first(k),
        kStep: k.step,
        v: first(v),
        vStep: v.step,
        window: Math.min(window, part.rows),
        scale,
        dy: first(d),
        dyStep: d.step,
        dq: first(dq),
        dqStep: dq?.step ?? 0,
        dk: first(dk),
        dkStep: dk?.step ?? 0,
        dv: first(dv),
        dvStep: dv?.step ?? 0,
        scratch,
      })
    }
  })
}
