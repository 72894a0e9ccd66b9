import { widened } from '../../src/backends/weight.js'
import { isBidirectional } from '../../src/layers/mixers/bidirectional.js'
import type { MambaSpec } from '../../src/layers/mixers/mamba.js'
import type { Weights } from '../../src/layers/params.js'
import type { MlpSpec, ModelSpec, NormSpec } from '../../src/spec.js'

/**
 * A model's forward pass on the spec and the weights, as plain as can be, in float64: what the layouts are checked by.
 */

/** L rows of one width. */
export type Rows = Float64Array[]

export interface Matrix {
  rows: number
  cols: number
  data: Float32Array
}

export interface PlainOutput {
  logits: Rows
  /** As `hidden_states` of the spec lists them. */
  listed: Rows[]
  /** After the final norm. */
  last: Rows
}

export function plainForward(spec: ModelSpec, weights: Weights, ids: Int32Array): PlainOutput {
  const get = (name: string): Matrix | undefined => {
    const weight = weights.get(name)
    return weight && { rows: weight.rows, cols: weight.cols, data: widened(weight) }
  }
  const embedding = get('embedding.weight')!
  const { norm, blocks, hidden_states: listing } = spec
  let x: Rows = Array.from(ids, (id) => row(embedding, id))
  const listed: Rows[] = listing.embedding ? [x] : []
  for (const [i, { mixer, mlp }] of blocks.entries()) {
    const block = (name: string) => get(`blocks.${i}.${name}`)
    const inner = normed(x, norm, block('norm.weight'), block('norm.bias'))
    let y: Rows = []
    if (mixer.kind === 'mamba') y = mamba(inner, mixer as MambaSpec, (name) => block(`mixer.${name}`))
    else if (isBidirectional(mixer)) {
      const forward = (name: string) => block(`mixer.forward.${name}`)
      const shared = (name: string) => mixer.tied && /^(in|out)_proj/.test(name)
      const reverse = (name: string) => (shared(name) ? forward(name) : block(`mixer.reverse.${name}`))
      const a = mamba(inner, mixer.mamba as MambaSpec, forward)
      const b = mamba(inner.toReversed(), mixer.mamba as MambaSpec, reverse).toReversed()
      y = a.map((r, t) => r.map((v, d) => (mixer.combine === 'add' ? v + b[t][d] : v * b[t][d])))
    }
    x = plus(x, y)
    if (mlp) x = plus(x, gatedMlp(normed(x, norm, block('norm2.weight'), block('norm2.bias')), mlp, block))
    if (i < listing.listed) listed.push(listing.blocks === 'mixer' ? y : x)
  }
  const last = normed(x, norm, get('norm_f.weight'), get('norm_f.bias'))
  if (listing.final) listed.push(last)
  const tied = spec.head?.kind === 'tokens' && spec.head.tied
  return { logits: linear(last, tied ? embedding : get('head.weight')!), listed, last }
}

/** One Mamba-1 mixer, left to right. `conv.weight` is [K, E]. */
export function mamba(x: Rows, spec: MambaSpec, get: (name: string) => Matrix | undefined): Rows {
  const { d_inner: E, d_state: N, dt_rank: R, d_conv: K, bcdt_norm_eps } = spec
  const need = (name: string) => get(name) ?? fail(name)
  const xz = linear(x, need('in_proj.weight'), get('in_proj.bias'))
  const conv = need('conv.weight')
  const u = xz.map((_, t) =>
    Float64Array.from({ length: E }, (_, e) => {
      let sum = get('conv.bias')?.data[e] ?? 0
      for (let k = 0; k < K; k++) if (t - K + 1 + k >= 0) sum += conv.data[k * E + e] * xz[t - K + 1 + k][e]
      return silu(sum)
    }),
  )
  const split = linear(u, need('x_proj.weight')).map((r) => {
    const parts = [r.slice(0, R), r.slice(R, R + N), r.slice(R + N)]
    return bcdt_norm_eps === undefined ? parts : parts.map((p) => normedRow(p, { kind: 'rms', eps: bcdt_norm_eps }))
  })
  const dts = linear(
    split.map(([dt]) => dt),
    need('dt_proj.weight'),
    need('dt_proj.bias'),
  )
  const [A_log, D] = [need('A_log').data, need('D').data]
  const h = new Float64Array(E * N)
  const y = u.map((_, t) =>
    Float64Array.from({ length: E }, (_, e) => {
      const dt = Math.log1p(Math.exp(dts[t][e]))
      let sum = D[e] * u[t][e]
      for (let n = 0; n < N; n++) {
        const i = e * N + n
        h[i] = Math.exp(-dt * Math.exp(A_log[i])) * h[i] + dt * split[t][1][n] * u[t][e]
        sum += split[t][2][n] * h[i]
      }
      return sum * silu(xz[t][E + e])
    }),
  )
  return linear(y, need('out_proj.weight'), get('out_proj.bias'))
}

function gatedMlp(x: Rows, { d_hidden: H }: MlpSpec, get: (name: string) => Matrix | undefined): Rows {
  const both = linear(x, get('mlp.fc1.weight')!, get('mlp.fc1.bias'))
  const y = both.map((r) => r.slice(0, H).map((v, i) => v * silu(r[H + i])))
  return linear(y, get('mlp.fc2.weight')!, get('mlp.fc2.bias'))
}

export function normed(x: Rows, norm: NormSpec | null, weight?: Matrix, bias?: Matrix): Rows {
  if (!norm) return x
  return x.map((r) => normedRow(r, norm).map((v, d) => v * (weight?.data[d] ?? 1) + (bias?.data[d] ?? 0)))
}

function normedRow(row: Float64Array, { kind, eps }: NormSpec): Float64Array {
  const mean = kind === 'layer' ? row.reduce((sum, v) => sum + v, 0) / row.length : 0
  const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length
  return row.map((v) => (v - mean) / Math.sqrt(variance + eps))
}

export function linear(x: Rows, { rows, cols, data }: Matrix, bias?: Matrix): Rows {
  return x.map((r) =>
    Float64Array.from({ length: rows }, (_, o) => {
      let sum = bias?.data[o] ?? 0
      for (let i = 0; i < cols; i++) sum += r[i] * data[o * cols + i]
      return sum
    }),
  )
}

export function row({ cols, data }: Matrix, i: number): Float64Array {
  return Float64Array.from(data.subarray(i * cols, (i + 1) * cols))
}

export function plus(a: Rows, b: Rows): Rows {
  return a.map((r, t) => r.map((v, d) => v + b[t][d]))
}

export function flat(rows: Rows): Float64Array {
  const all = new Float64Array(rows.length * rows[0].length)
  for (const [t, r] of rows.entries()) all.set(r, t * r.length)
  return all
}

export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`)
  let max = 0
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i])
    if (!(difference <= max)) max = difference
  }
  return max
}

const silu = (v: number) => v / (1 + Math.exp(-v))

function fail(name: string): never {
  throw new Error(`no weight ${name}`)
}
