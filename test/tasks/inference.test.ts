import { expect, test } from 'vitest'
import { devices } from '../../src/backends/registry.js'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { Network } from '../../src/engine/network.js'
import type { Output } from '../../src/engine/outputs.js'
import { Session } from '../../src/engine/session.js'
import { uploadWeights } from '../../src/layers/params.js'
import { openModel } from '../../src/tasks/model.js'
import { appendedTokens, dnaTokenizer } from '../../src/tokens/tokenizer.js'
import { segmentsOf } from '../backends/segments.js'
import { seeded } from '../engine/models.js'

test.each(['caduceus-ph', 'caduceus-ps', 'caduceus-ps-unfused'])(
  '%s: rows and means of packed sequences are those of the library, without the appended token',
  async (name) => {
    const folder = `test/golden/${name}`
    const random = seeded(3)
    const tokenizer = dnaTokenizer({ kind: 'tokens', tokenizer: 'caduceus', vocab_size: 16 })
    const lengths = [5, 1, 40, 17]
    const sequences = lengths.map((length) =>
      tokenizer.ids(
        Uint8Array.from({ length }, () => Math.floor(random() * 5)),
        true,
      ),
    )
    const model = await openModel(folder)
    const { spec, weights } = await openCheckpoint(folder)
    const backend = await devices.cpu.open()
    const network = new Network(backend, spec, uploadWeights(backend, weights))
    const job = {
      input: Int32Array.from(sequences.flatMap((ids) => [...ids])),
      segments: segmentsOf(lengths.map((n) => n + 1)),
    }
    const listed = spec.hidden_states.listed + 1 + (spec.hidden_states.final ? 1 : 0)
    for (const layer of [undefined, ...Array.from({ length: listed }, (_, i) => i)]) {
      const expected: number[][] = []
      for (const ids of sequences) {
        const { hidden } = await model.forward(ids, { logits: 'none', hidden: layer === undefined ? 'last' : 'all' })
        const rows = layer === undefined ? (hidden as Float32Array) : (hidden as Float32Array[])[layer]
        expected.push([...rows.subarray(0, rows.length - rows.length / ids.length)])
      }
      const run = async (output: Output) => {
        const options = { chunk: 300, outputs: [output], appended: appendedTokens(spec, false) }
        return (await new Session(network, options).push(job)).reads[0]
      }
      const all = await run({ layer })
      expect([...all.rows]).toEqual(lengths)
      expect([...all.data]).toEqual(expected.flat())
      const { data, width } = await run({ pool: 'mean', layer })
      expect(width).toBe(expected[0].length / lengths[0])
      const means = expected.flatMap((rows, s) =>
        Array.from(
          { length: width },
          (_, d) => rows.filter((_, i) => i % width === d).reduce((a, b) => a + b) / lengths[s],
        ),
      )
      for (const [i, mean] of means.entries()) expect(data[i]).toBeCloseTo(mean, 6)
    }
    await model.close()
    await backend.close()
  },
)
