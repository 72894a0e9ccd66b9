import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { devices } from '../../src/backends/registry.js'
import { wholeSegments } from '../../src/backends/segments.js'
import { widened } from '../../src/backends/weight.js'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { SafetensorsFile } from '../../src/checkpoints/safetensors.js'
import { Network } from '../../src/engine/network.js'
import { uploadWeights } from '../../src/layers/params.js'
import { crossEntropy } from '../../src/training/losses.js'
import { Tape } from '../../src/training/tape.js'
import { gpu } from '../backends/has-gpu.js'

/** Our name of a tensor of transformers' Mamba or Mamba-2. */
const renamed = (name: string) =>
  name
    .replace('backbone.embeddings', 'embedding')
    .replace('backbone.layers', 'blocks')
    .replace('backbone.', '')
    .replace('conv1d', 'conv')
    .replace('lm_head', 'head')

describe.each(['hf-mamba', 'hf-mamba2'])('gradients of a whole language model, %s', (name) => {
  const folder = fileURLToPath(new URL(`../golden/${name}/`, import.meta.url))
  // Relative to the largest number of each gradient; the golden ones are float32 of PyTorch.
  for (const [device, tolerance] of [
    ['reference', 1e-5],
    ['cpu', 1e-4],
    ['webgpu', 1e-3],
  ] as const)
    it.skipIf(device === 'webgpu' && !gpu)(`are those of PyTorch on ${device}`, async () => {
      const backend = await devices[device].open()
      const golden = await SafetensorsFile.open(`${folder}expected_grads.safetensors`)
      const { spec, weights } = await openCheckpoint(folder)
      const tensors = uploadWeights(backend, weights)
      const gradients = new Map([...tensors.values()].map((w) => [w, backend.zeros(w.rows, w.cols)]))
      const tape = new Tape(backend, gradients)
      const network = new Network(tape, spec, tensors)
      const ids = await golden.integers('input_ids')
      const { shape } = golden.info('input_ids')
      const [batch, length] = shape
      const offsets = Int32Array.from({ length: batch + 1 }, (_, s) => s * length)
      const { x: hidden } = await network.forward(ids, wholeSegments(offsets), null)
      const logits = await network.head(hidden)
      tape.release(hidden)

      const values = await backend.download(logits)
      const V = logits.cols
      const predicting = [...ids.keys()].filter((t) => (t + 1) % length !== 0)
      const rows = Float64Array.from(predicting.flatMap((t) => [...values.subarray(t * V, (t + 1) * V)]))
      const { losses, dLogits } = crossEntropy(
        rows,
        predicting.map((t) => ids[t + 1]),
      )
      const [expectedLoss] = widened(await golden.weight('loss'))
      expect(losses.reduce((a, b) => a + b) / predicting.length).toBeCloseTo(expectedLoss, 4)

      const spread = new Float64Array(values.length)
      for (const [i, t] of predicting.entries())
        for (let v = 0; v < V; v++) spread[t * V + v] = dLogits[i * V + v] / predicting.length
      await tape.backward(logits, backend.upload(spread, logits.rows, V))

      let compared = 0
      for (const name of golden.tensors.keys()) {
        if (!name.startsWith('grad.')) continue
        const ours = tensors.get(renamed(name.slice(5)))
        expect(ours, name).toBeDefined()
        let got = [...(await backend.download(gradients.get(ours!)!))]
        if (name.endsWith('conv1d.weight')) {
          const { rows: K, cols: E } = ours!
          got = Array.from({ length: E * K }, (_, i) => got[(i % K) * E + Math.floor(i / K)])
        }
        const expected = [...widened(await golden.weight(name))]
        const scale = Math.max(...expected.map(Math.abs))
        const worst = Math.max(...expected.map((e, i) => Math.abs(e - got[i])))
        expect(worst / scale, name).toBeLessThan(tolerance)
        compared++
      }
      expect(compared).toBe(tensors.size)
      await golden.close()
      await backend.close()
    })
})
