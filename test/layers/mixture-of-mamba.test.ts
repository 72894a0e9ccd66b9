import { afterAll, describe, expect, it } from 'vitest'
import type { Segments } from '../../src/backends/segments.js'
import type { MambaSpec } from '../../src/layers/mixers/mamba.js'
import { type MixtureOfMambaSpec, mixtureOfMamba } from '../../src/layers/mixers/mixture-of-mamba.js'
import { Params } from '../../src/layers/params.js'
import { backends } from '../backends/opened.js'
import { randomNumbers } from '../backends/random.js'

/** Rows of one modality in a sequence. */
interface Part {
  modality: number
  rows: number[][]
}

const [D, E, N, R, K] = [7, 10, 5, 2, 4]
const mamba: MambaSpec = { kind: 'mamba', d_inner: E, d_state: N, dt_rank: R, d_conv: K }
const spec: MixtureOfMambaSpec = { kind: 'mixture-of-mamba', modalities: 3, mamba }
const { normal } = randomNumbers(3)
const random = (length: number) => Array.from({ length }, () => Math.fround(0.5 * normal()))
const shapes = mixtureOfMamba.weights(spec, D)
const weights = new Map(shapes.map(({ name, rows, cols }) => [name, random(rows * cols)]))
const parts = (...given: [modality: number, length: number][]): Part[] =>
  given.map(([modality, length]) => ({ modality, rows: Array.from({ length }, () => random(D)) }))
const sequences = [parts([0, 5], [1, 3], [0, 4]), parts([2, 2], [1, 6]), parts([0, 1]), parts([1, 1], [2, 1], [0, 1])]

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0)
const silu = (x: number) => x / (1 + Math.exp(-x))

/** weight x + bias, of a modality or of all. */
function affine(x: readonly number[], name: string): number[] {
  const bias = weights.get(`${name}.bias`)
  const weight = weights.get(`${name}.weight`)!
  return Array.from({ length: weight.length / x.length }, (_, o) => {
    return dot(weight.slice(o * x.length, (o + 1) * x.length), x) + (bias?.[o] ?? 0)
  })
}

/** The formulas of the paper, row by row, each with the weights of its modality: x + mixer(x). */
function byFormula(sequence: Part[]): number[] {
  const before: number[][] = Array.from({ length: K }, () => Array(E).fill(0))
  const h = Array.from({ length: E }, () => Array<number>(N).fill(0))
  const [conv, bias] = [weights.get('conv.weight')!, weights.get('conv.bias')!]
  const [A_log, skip] = [weights.get('A_log')!, weights.get('D')!]
  const row = (x: number[], m: number) => {
    const xz = affine(x, `${m}.in_proj`)
    before.push(xz.slice(0, E))
    before.shift()
    const u = Array.from({ length: E }, (_, e) =>
      silu(before.reduce((sum, past, k) => sum + conv[k * E + e] * past[e], bias[e])),
    )
    const low = affine(u, `${m}.x_proj`)
    const [B, C] = [low.slice(R, R + N), low.slice(R + N)]
    const y = affine(low.slice(0, R), `${m}.dt_proj`).map((raw, e) => {
      const dt = Math.log1p(Math.exp(raw))
      for (let n = 0; n < N; n++) h[e][n] = Math.exp(-dt * Math.exp(A_log[e * N + n])) * h[e][n] + dt * B[n] * u[e]
      return (dot(h[e], C) + skip[e] * u[e]) * silu(xz[E + e])
    })
    return affine(y, `${m}.out_proj`).map((value, d) => value + x[d])
  }
  return sequence.flatMap(({ modality, rows }) => rows.flatMap((x) => row(x, modality)))
}

describe.each(backends)('$name', async ({ open, sameBytes, slack, name }) => {
  const b = await open()
  afterAll(() => b.close())
  const uploaded = shapes.map(({ name, rows, cols }) => [name, b.upload(weights.get(name)!, rows, cols)] as const)
  const mixer = mixtureOfMamba.make(spec, new Params(new Map(uploaded)))

  /** Sequences at a time, each in its slot; a chunk has the next part of each. */
  async function run(together: Part[][]): Promise<number[][]> {
    const shapes = Object.entries(mixer.states('forward'))
    const state = Object.fromEntries(shapes.map(([of, s]) => [of, b.zeros(together.length * s.rows, s.cols)]))
    const done = together.map(() => 0)
    const out = together.map((): number[] => [])
    for (let step = 0; together.some((sequence) => step < sequence.length); step++) {
      const slot = [...together.keys()].filter((s) => step < together[s].length)
      const now = slot.map((s) => together[s][step])
      const offsets = [0]
      for (const { rows } of now) offsets.push(offsets.at(-1)! + rows.length)
      const segments: Segments = {
        offsets: Int32Array.from(offsets),
        start: Float64Array.from(slot, (s) => done[s]),
        ends: Uint8Array.from(slot, (s) => (step + 1 === together[s].length ? 1 : 0)),
        slot: Int32Array.from(slot),
        modality: Int32Array.from(now, ({ modality }) => modality),
      }
      const x = b.upload(
        now.flatMap(({ rows }) => rows.flat()),
        offsets.at(-1)!,
        D,
      )
      const projected = await mixer.project(b, x, segments)
      const y = await mixer.scan(b, projected, segments, 'forward', state, [])
      const rows = await b.download(await mixer.finish(b, projected, [y], x, segments))
      for (const [i, s] of slot.entries()) {
        out[s].push(...rows.subarray(offsets[i] * D, offsets[i + 1] * D))
        done[s] += now[i].rows.length
      }
    }
    return out
  }
  const alone = async (sequence: Part[]) => (await run([sequence]))[0]

  it('gives what the formulas give, each row by the weights of its modality', async () => {
    const tolerance = name === 'reference' ? 1e-12 : 2e-6 * slack
    for (const sequence of sequences) {
      const expected = byFormula(sequence)
      const found = await alone(sequence)
      expect(found.length).toBe(expected.length)
      for (const [i, value] of found.entries()) expect(Math.abs(value - expected[i])).toBeLessThan(tolerance)
    }
  })

  it('gives sequences of several modalities in one chunk what each has alone', async () => {
    const found = await run(sequences)
    for (const [s, sequence] of sequences.entries()) {
      const expected = await alone(sequence)
      if (sameBytes) expect(found[s]).toEqual(expected)
      else for (const [i, value] of found[s].entries()) expect(value).toBeCloseTo(expected[i], 5)
    }
  })
})
