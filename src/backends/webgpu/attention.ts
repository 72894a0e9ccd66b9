import { placeOf, readAttention } from '../attention.js'
import type { AttentionArgs, AttentionCache } from '../backend.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { findPart } from './parts.js'
import { type GpuTensor, gpu } from './tensor.js'

/** Keys that a workgroup is at together, a thread each. */
const tile = 64

/**
 * A workgroup for each row and head. Keys are numbered from the first that the segment sees, of which `parts` has: first row of the chunk,
 * rows, slot, how many lie in the cache, and the place of the first of them there. Tile by tile, what was summed up so far is scaled to the
 * largest score (arXiv 1805.02867).
 */
const attentionKernel = (dim: number, cache: boolean): Kernel => {
  const each = Math.ceil(dim / tile)
  const from = (x: string, kept: string) => `
      var row = p.${x}_at + u32(parts[part] + key - before) * p.${x}_step + g * ${dim}u;
      ${
        cache
          ? `if (key < before) {
        row = p.${kept}_at + u32(parts[part + 2u]) * p.${kept}_step + (u32(parts[part + 4u] + key) % p.capacity) * p.cols + g * ${dim}u;
      }`
          : ''
      }`
  return {
    name: `attention ${dim} ${cache}`,
    reads: ['q', 'k', 'v', ...(cache ? ['keys', 'values'] : [])],
    writes: ['y'],
    tables: ['parts'],
    counts: ['heads', 'share', 'count', 'window', 'capacity', 'cols'],
    reals: ['scale'],
    threads: tile,
    library: `
${findPart(5)}
var<workgroup> query: array<f32, ${dim}>;
var<workgroup> scores: array<f32, ${tile}>;`,
    body: `
  let t = i32(block / p.heads);
  let h = block % p.heads;
  let g = h / p.share;
  let part = find_part(t, p.count);
  let before = parts[part + 3u];
  let last = before + t - parts[part];
  let first = max(0, last + 1 - i32(p.window));
  for (var e = lane; e < ${dim}u; e += ${tile}u) { query[e] = q[p.q_at + u32(t) * p.q_step + h * ${dim}u + e]; }
  workgroupBarrier();
  var most = -3.0e38;
  var total = 0.0;
  var sums: array<f32, ${each}>;
  for (var start = first; start <= last; start += ${tile}) {
    let count = min(${tile}, last + 1 - start);
    var score = -3.0e38;
    if (i32(lane) < count) {
      let key = start + i32(lane);${from('k', 'keys')}
      var dot = 0.0;
      ${cache ? `if (key < before) { for (var e = 0u; e < ${dim}u; e++) { dot += query[e] * keys[row + e]; } } else` : ''}
      { for (var e = 0u; e < ${dim}u; e++) { dot += query[e] * k[row + e]; } }
      score = dot * p.scale;
    }
    scores[lane] = score;
    workgroupBarrier();
    var larger = most;
    for (var j = 0; j < count; j++) { larger = max(larger, scores[j]); }
    workgroupBarrier();
    scores[lane] = exp(max(score - larger, -87.0));
    workgroupBarrier();
    let shrink = select(exp(max(most - larger, -87.0)), 0.0, start == first);
    most = larger;
    total *= shrink;
    for (var j = 0; j < count; j++) { total += scores[j]; }
    for (var i = 0u; i < ${each}u; i++) {
      let e = lane + ${tile}u * i;
      if (e < ${dim}u) {
        var sum = sums[i] * shrink;
        for (var j = 0; j < count; j++) {
          let key = start + j;${from('v', 'values')}
          ${cache ? `if (key < before) { sum += scores[j] * values[row + e]; } else` : ''} { sum += scores[j] * v[row + e]; }
        }
        sums[i] = sum;
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < ${each}u; i++) {
    let e = lane + ${tile}u * i;
    if (e < ${dim}u) { y[p.y_at + u32(t) * p.y_step + h * ${dim}u + e] = sums[i] / total; }
  }`,
  }
}

/** Rows of a chunk into the cache; of a segment that is longer the last ones. */
const keepKernel: Kernel = {
  name: 'attention keep',
  reads: ['x'],
  writes: ['kept'],
  tables: ['parts'],
  counts: ['T', 'cols', 'count', 'capacity'],
  threads: 64,
  library: findPart(5),
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.cols) { return; }
  let row = i / p.cols;
  let part = find_part(i32(row), p.count);
  let t = i32(row) - parts[part];
  if (parts[part + 2u] < 0 || t < parts[part + 1u] - i32(p.capacity)) { return; }
  let place = u32(parts[part + 4u] + parts[part + 3u] + t) % p.capacity;
  kept[p.kept_at + u32(parts[part + 2u]) * p.kept_step + place * p.cols + i % p.cols] = x[p.x_at + row * p.x_step + i % p.cols];`,
}

export function attention(machine: Machine, args: AttentionArgs, cache: AttentionCache | null): GpuTensor {
  const { groups, capacity, parts } = readAttention(args, cache)
  const { heads, width, scale, window } = args
  const [q, k, v] = [gpu(args.q), gpu(args.k), gpu(args.v)]
  const [T, cols] = [q.rows, k.cols]
  const [keys, values] = cache
    ? [cache.keys, cache.values].map((x) => gpu(x, cache.keys.rows, capacity * cols))
    : [null, null]
  const table = parts.flatMap(({ from, rows, slot, start, seen }) => {
    return [from, rows, slot, seen, capacity > 0 ? placeOf(start - seen, capacity) : 0]
  })
  const tables = { parts: Int32Array.from(table) }
  const y = machine.allocate(T, q.cols)
  const count = parts.length
  machine.run(attentionKernel(width, !!keys), {
    tensors: { q, k, v, y, ...(keys && { keys }), ...(values && { values }) },
    tables,
    numbers: { heads, share: heads / groups, count, window: Math.min(window, 2 ** 31 - 1), capacity, cols, scale },
    blocks: T * heads,
  })
  for (const [x, kept] of [[k, keys], [v, values]] as const) // biome-ignore format: two pairs
    if (kept)
      machine.run(keepKernel, {
        tensors: { x, kept },
        tables,
        numbers: { T, cols, count, capacity },
        blocks: Math.ceil((T * cols) / 64),
      })
  return y
}
