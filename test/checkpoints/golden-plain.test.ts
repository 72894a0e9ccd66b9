import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { SafetensorsFile } from '../../src/checkpoints/safetensors.js'
import { mergeHidden, mergeLogits, reverseComplementIds } from '../../src/layers/reverse-complement.js'
import { flat, maxDifference, plainForward } from './plain.js'

/** Logits and hidden states of the official code, from the loaded weights and a plain forward pass. */
const folders = [
  'hf-mamba',
  'hf-mamba-f16',
  'hf-falcon-mamba',
  'ssm-mamba1',
  'caduceus-ph',
  'caduceus-ps',
  'caduceus-ps-unfused',
]

test.each(folders)('%s: a plain forward pass on the loaded weights gives the official outputs', async (name) => {
  const folder = `test/golden/${name}`
  const { spec, weights } = await openCheckpoint(folder)
  const { tensors: tolerances } = JSON.parse(await readFile(`${folder}/meta.json`, 'utf8'))
  const expected = await SafetensorsFile.open(`${folder}/expected.safetensors`)
  try {
    for (const kase of ['L1', 'L5', 'L300', 'L300rc', 'mlm']) {
      if (!expected.tensors.has(`${kase}.input_ids`)) continue
      const [B, L] = expected.info(`${kase}.input_ids`).shape
      const ids = await expected.integers(`${kase}.input_ids`)
      const rows = Array.from({ length: B }, (_, b) => run(ids.slice(b * L, (b + 1) * L)))
      const check = async (what: string, got: (row: ReturnType<typeof run>) => ArrayLike<number>) => {
        const key = `${kase}.${what}`
        const want = await expected.floats(key)
        const all = rows.flatMap((row) => Array.from(got(row)))
        expect(maxDifference(all, want), key).toBeLessThanOrEqual(tolerances[key].atol)
      }
      await check('logits', ({ logits }) => logits)
      const listed = [...expected.tensors.keys()].filter((key) => key.startsWith(`${kase}.hidden_states.`)).length
      for (let i = 0; i < listed; i++) await check(`hidden_states.${i}`, ({ hidden }) => hidden[i])
      if (listed > 0) expect(rows[0].hidden.length).toBe(listed)
      if (name === 'ssm-mamba1') {
        for (let i = 0; i < 3; i++) await check(`residual_after_layer.${i}`, ({ hidden }) => hidden[i])
      }
      if (expected.tensors.has(`${kase}.last_hidden_state`)) await check('last_hidden_state', ({ last }) => last)
    }
  } finally {
    await expected.close()
  }

  function run(ids: Int32Array) {
    const g = plainForward(spec, weights, ids)
    if (!spec.reverse_complement) return { logits: flat(g.logits), hidden: g.listed.map(flat), last: flat(g.last) }
    const r = plainForward(spec, weights, reverseComplementIds(ids, spec.reverse_complement.complement))
    return {
      logits: mergeLogits(flat(g.logits), flat(r.logits), spec),
      hidden: g.listed.map((rows, i) => mergeHidden(flat(rows), flat(r.listed[i]), spec, i)),
      last: mergeHidden(flat(g.last), flat(r.last), spec, spec.blocks.length),
    }
  }
})
