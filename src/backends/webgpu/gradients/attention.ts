import { readAttention } from '../../attention.js'
import type { AttentionArgs, AttentionGradients, Tensor } from '../../backend.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { gpu, optional } from '../tensor.js'

/** Of the scores of the rows that are looked at together, and the most of these. */
const scoreBytes = 64 * 2 ** 20
const mostRows = 256

/**
 * The kernels work on `rows` rows from `first` on, with the keys of all rows that these see, `keys` from `begin` on. `seen`: the first key of
 * each row. Shares, and gradients of what they are of: [rows heads, keys], zero where a row sees no key.
 */
const numbers = ['rows', 'first', 'begin', 'keys', 'heads', 'share', 'width']

/** A thread for each key of a row and head: its score, and the gradient of its share. */
const scoresKernel: Kernel = {
  name: 'attention gradient scores',
  reads: ['q', 'k', 'v', 'd'],
  writes: ['shares', 'slopes'],
  tables: ['seen'],
  counts: numbers,
  reals: ['scale'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.rows * p.heads * p.keys) { return; }
  let row = p.first + i / p.keys / p.heads;
  let key = p.begin + i % p.keys;
  if (key > row || key < u32(seen[row])) { return; }
  let h = i / p.keys % p.heads;
  let mine = h * p.width;
  let theirs = h / p.share * p.width;
  var score = 0.0;
  var slope = 0.0;
  for (var e = 0u; e < p.width; e++) {
    score += q[p.q_at + row * p.q_step + mine + e] * k[p.k_at + key * p.k_step + theirs + e];
    slope += d[p.d_at + row * p.d_step + mine + e] * v[p.v_at + key * p.v_step + theirs + e];
  }
  shares[i] = p.scale * score;
  slopes[i] = slope;`,
}

/** A thread for each row and head: shares of scores, and gradients of the scores, those of the shares less their mean. */
const softmaxKernel: Kernel = {
  name: 'attention gradient softmax',
  writes: ['shares', 'slopes'],
  tables: ['seen'],
  counts: numbers,
  reals: ['scale'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.rows * p.heads) { return; }
  let row = p.first + i / p.heads;
  let begin = i * p.keys + u32(seen[row]) - p.begin;
  let end = i * p.keys + row + 1u - p.begin;
  var most = shares[begin];
  for (var j = begin; j < end; j++) { most = max(most, shares[j]); }
  var sum = 0.0;
  var mean = 0.0;
  for (var j = begin; j < end; j++) {
    let power = exp(max(shares[j] - most, -87.0));
    shares[j] = power;
    sum += power;
    mean += power * slopes[j];
  }
  mean /= sum;
  for (var j = begin; j < end; j++) {
    shares[j] /= sum;
    slopes[j] = p.scale * shares[j] * (slopes[j] - mean);
  }`,
}

/** A thread for each number of a query: its keys, weighed by the gradients of their scores. */
const queriesKernel: Kernel = {
  name: 'attention gradient queries',
  reads: ['slopes', 'k'],
  writes: ['y'],
  tables: ['seen'],
  counts: numbers,
  threads: 64,
  body: `
  let i = block * 64u + lane;
  let cols = p.heads * p.width;
  if (i >= p.rows * cols) { return; }
  let row = p.first + i / cols;
  let h = i % cols / p.width;
  let theirs = h / p.share * p.width + i % p.width;
  let at = (i / cols * p.heads + h) * p.keys;
  var sum = 0.0;
  for (var key = u32(seen[row]); key <= row; key++) { sum += slopes[at + key - p.begin] * k[p.k_at + key * p.k_step + theirs]; }
  y[p.y_at + row * p.y_step + i % cols] += sum;`,
}

/** A thread for each number of a key or value: of the rows and heads that see it x, weighed. */
const keysKernel: Kernel = {
  name: 'attention gradient keys',
  reads: ['weights', 'x'],
  writes: ['y'],
  counts: numbers,
  threads: 64,
  body: `
  let i = block * 64u + lane;
  let cols = p.heads / p.share * p.width;
  if (i >= p.keys * cols) { return; }
  let key = p.begin + i / cols;
  let h = i % cols / p.width * p.share;
  var sum = 0.0;
  for (var r = max(p.first, key) - p.first; r < p.rows; r++) {
    for (var s = h; s < h + p.share; s++) {
      sum += weights[(r * p.heads + s) * p.keys + i / cols] * x[p.x_at + (p.first + r) * p.x_step + s * p.width + i % p.width];
    }
  }
  y[p.y_at + key * p.y_step + i % cols] += sum;`,
}

/** Some rows at a time, with the scores of all that they see. */
export function attentionGradient(machine: Machine, dy: Tensor, args: AttentionArgs, into: AttentionGradients): void {
  const { groups, parts } = readAttention(args, null)
  const { heads, width, scale, window } = args
  const [q, k, v] = [gpu(args.q), gpu(args.k), gpu(args.v)]
  const T = q.rows
  const d = gpu(dy, T, q.cols)
  const [dq, dk, dv] = [optional(into.dq, T, q.cols), optional(into.dk, T, k.cols), optional(into.dv, T, v.cols)]
  const seen = new Int32Array(T)
  for (const { from, rows } of parts) for (let t = from; t < from + rows; t++) seen[t] = Math.max(from, t + 1 - window)
  const most = Math.min(mostRows, Math.max(1, Math.floor(Math.min(scoreBytes, machine.roomBytes) / (4 * heads * T))))
  for (let first = 0; first < T; first += most) {
    const rows = Math.min(most, T - first)
    // The first key that is seen never moves back.
    const [begin, end] = [seen[first], first + rows]
    const keys = end - begin
    const numbers = { rows, first, begin, keys, heads, share: heads / groups, width, scale }
    const tables = { seen }
    const [shares, slopes] = [0, 1].map(() => machine.allocate(rows * heads, keys))
    for (const x of [shares, slopes]) machine.clear(x)
    const run = (kernel: Kernel, tensors: Parameters<Machine['run']>[1]['tensors'], threads: number) =>
      machine.run(kernel, { tensors, tables, numbers, blocks: Math.ceil(threads / 64) })
    run(scoresKernel, { q, k, v, d, shares, slopes }, rows * heads * keys)
    run(softmaxKernel, { shares, slopes }, rows * heads)
    if (dq) run(queriesKernel, { slopes, k, y: dq }, rows * q.cols)
    if (dk) run(keysKernel, { weights: slopes, x: q, y: dk }, keys * k.cols)
    if (dv) run(keysKernel, { weights: shares, x: d, y: dv }, keys * v.cols)
    machine.release(shares)
    machine.release(slopes)
  }
}
