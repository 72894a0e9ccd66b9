import { describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import type { MambaSpec } from '../../src/layers/mixers/mamba.js'
import { mergeHidden, mergeLogits, reverseComplementIds } from '../../src/layers/reverse-complement.js'
import { goldenModel, noise, type RawTensors, writeModel } from './folders.js'
import { type CaduceusConfig, officialCaduceus } from './official.js'
import { flat, maxDifference, plainForward } from './plain.js'

/** Every way to store and to wire a Caduceus, against the official wiring on the tensors of the file. */

const mixer: MambaSpec = { kind: 'mamba', d_inner: 32, d_state: 16, dt_rank: 1, d_conv: 4 }
const complement = [0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11, 12, 13, 14, 15]
const ids = Int32Array.from([7, 8, 9, 10, 7, 7, 9, 11, 3, 10, 10, 8, 9, 7, 1])

/** Changes the tensors of a model. */
type Edit = (raw: RawTensors, ps: boolean) => void

const mixers = (raw: RawTensors, direction: string) => {
  const prefixes = [...raw.keys()].filter((name) => name.endsWith(`${direction}.A_log`))
  return prefixes.map((name) => name.slice(0, -'A_log'.length))
}
const tiedPresent: Edit = (raw, ps) => {
  for (const prefix of mixers(raw, 'mamba_fwd')) {
    for (const name of ['in_proj.weight', 'out_proj.weight']) {
      raw.set(prefix.replace('fwd', 'rev') + name, raw.get(prefix + name)!)
    }
  }
  const words = 'caduceus.backbone.embeddings.word_embeddings.'
  raw.set(ps ? 'lm_head.lm_head.weight' : 'lm_head.weight', raw.get(`${words}${ps ? 'embedding.' : ''}weight`)!)
}
const untied: Edit = (raw, ps) => {
  for (const [i, prefix] of mixers(raw, 'mamba_rev').entries()) {
    raw.set(`${prefix}in_proj.weight`, { shape: [64, 16], values: noise(64 * 16, 10 + i) })
    raw.set(`${prefix}out_proj.weight`, { shape: [16, 32], values: noise(16 * 32, 20 + i) })
  }
  raw.set(ps ? 'lm_head.lm_head.weight' : 'lm_head.weight', { shape: [16, 16], values: noise(256, 30) })
}
const oneWay: Edit = (raw) => {
  for (const name of [...raw.keys()]) if (name.includes('mamba_rev')) raw.delete(name)
}
const layerNorm: Edit = (raw) => {
  for (const name of [...raw.keys()]) {
    if (!/norm(_f)?\.(submodule\.)?weight$/.test(name)) continue
    raw.set(name.replace(/weight$/, 'bias'), { shape: [16], values: noise(16, name.length) })
  }
}
const projectionBiases: Edit = (raw) => {
  for (const [i, prefix] of mixers(raw, 'mamba_fwd').entries()) {
    raw.set(`${prefix}in_proj.bias`, { shape: [64], values: noise(64, 40 + i) })
    raw.set(`${prefix}out_proj.bias`, { shape: [16], values: noise(16, 50 + i) })
  }
}

const variants: [string, Record<string, unknown>, Edit][] = [
  ['tied tensors present', {}, tiedPresent],
  ['untied', { bidirectional_weight_tie: false }, untied],
  ['one direction', { bidirectional: false }, oneWay],
  ['ew_multiply', { bidirectional_strategy: 'ew_multiply' }, () => {}],
  ['LayerNorm', { rms_norm: false }, layerNorm],
  ['biases of the projections', { ssm_cfg: { bias: true } }, projectionBiases],
]

describe.each(['caduceus-ph', 'caduceus-ps', 'caduceus-ps-unfused'])('%s', (golden) => {
  test.each(variants)('%s', async (_, changes, edit) => {
    const { config, raw, maps } = await goldenModel(golden)
    const ps = golden !== 'caduceus-ph'
    Object.assign(config, changes)
    edit(raw, ps)
    const got = await run(await writeModel(config, raw, maps))
    const want = officialCaduceus(config as unknown as CaduceusConfig, raw, mixer, complement, ids)
    expect(maxDifference(got.logits, flat(want.logits))).toBeLessThan(1e-4)
    expect(got.hidden.length).toBe(want.listed.length)
    for (const [i, rows] of want.listed.entries()) expect(maxDifference(got.hidden[i], flat(rows))).toBeLessThan(2e-5)
  })

  test('tied tensors present give the same weights as absent', async () => {
    const { config, raw, maps } = await goldenModel(golden)
    const absent = await openCheckpoint(await writeModel(config, raw, maps))
    tiedPresent(raw, golden !== 'caduceus-ph')
    const present = await openCheckpoint(await writeModel(config, raw, maps))
    expect(present.spec).toEqual(absent.spec)
    expect(present.weights).toEqual(absent.weights)
  })

  test('without the tie, a projection that is missing is an error', async () => {
    const { config, raw, maps } = await goldenModel(golden)
    const folder = await writeModel({ ...config, bidirectional_weight_tie: false }, raw, maps)
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      message: expect.stringMatching(/tensor caduceus\.\S+mamba_rev\.in_proj\.weight is missing, though/),
      exitCode: 69,
    })
  })
})

test('fused and unfused PS differ: the rewrite is not the same for both', async () => {
  const { config, raw, maps } = await goldenModel('caduceus-ps')
  const fused = await run(await writeModel(config, raw, maps))
  const renamed = new Map(
    [...raw].map(([name, tensor]) => [name.replace(/norm(_f)?\.weight/, 'norm$1.submodule.weight'), tensor]),
  )
  const unfused = await run(await writeModel({ ...config, fused_add_norm: false }, renamed, maps))
  expect(maxDifference(fused.logits, unfused.logits)).toBeGreaterThan(1)
})

test('a complement map that leads out of the vocabulary, or that the head does not share, is an error', async () => {
  const { config, raw, maps } = await goldenModel('caduceus-ps')
  const words = 'caduceus.backbone.embeddings.word_embeddings.complement_map'
  const wrong = maps.get(words)!.map((id) => (id === 9 ? 16 : id))
  const both = new Map([...maps.keys()].map((name) => [name, wrong]))
  await expect(openCheckpoint(await writeModel(config, raw, both))).rejects.toThrow(
    'complement_map takes id 8 to 16, expected 0 to 15',
  )
  await expect(openCheckpoint(await writeModel(config, raw, new Map(maps).set(words, wrong)))).rejects.toThrow(
    `lm_head.complement_map differs from ${words}`,
  )
})

async function run(folder: string) {
  const { spec, weights } = await openCheckpoint(folder)
  const g = plainForward(spec, weights, ids)
  if (!spec.reverse_complement) return { logits: flat(g.logits), hidden: g.listed.map(flat) }
  const r = plainForward(spec, weights, reverseComplementIds(ids, spec.reverse_complement.complement))
  return {
    logits: mergeLogits(flat(g.logits), flat(r.logits), spec),
    hidden: g.listed.map((rows, i) => mergeHidden(flat(rows), flat(r.listed[i]), spec, i)),
  }
}
