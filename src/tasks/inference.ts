import type { FloatArray, Segments, Tensor } from '../backends/backend.js'
import type { Chunk, OnRows } from '../engine/chunk.js'
import type { Network, OnHidden } from '../engine/network.js'
import { Runner } from '../engine/runner.js'
import { mergeHidden, reverseComplementIds } from '../layers/reverse-complement.js'
import type { Pool } from '../spec.js'
import { appendedTokens } from '../tokens/tokenizer.js'
import { concatenate } from './concatenate.js'
import { Readout } from './readout.js'

/** What is wanted of each sequence. */
export type Wanted =
  /** Class logits [labels]. */
  | { kind: 'logits'; pool: Pool }
  /** One vector [D] (Caduceus-PS: [2D]); `layer` counts the listed hidden states, absent: after the final norm. */
  | { kind: 'pooled'; pool: Pool; layer?: number }
  /** All hidden rows [L', D]. */
  | { kind: 'rows'; layer?: number }
  /** Logits [L', V] of all rows. */
  | { kind: 'token logits' }

/** What was wanted of the segments of a job, one after the other. */
export interface InferenceResult {
  /** [sum of rows, width] */
  data: Float32Array
  width: number
  /** Rows per segment: one if it ended in this job, none if it goes on; all its hidden rows where those are wanted. */
  rows: Int32Array
}

/** Runs chunks through a network and reads off what is wanted. */
export class Inference {
  private readonly runner: Runner
  private readonly readout: Readout | null
  private readonly appended: number

  constructor(
    private readonly network: Network,
    chunk: number,
    private readonly wanted: Wanted,
  ) {
    this.runner = new Runner(network, chunk)
    this.appended = appendedTokens(network.spec)
    this.readout = 'pool' in wanted ? new Readout(network.backend, wanted.pool) : null
  }

  async run(job: Chunk): Promise<InferenceResult> {
    const parts: Float32Array[] = []
    const rows = new Int32Array(job.segments.offsets.length - 1)
    let width = 0
    const take: OnRows = async (all, allSegments) => {
      const { hidden, segments } = this.withoutAppended(all, allSegments)
      const wanted = await this.read(hidden, segments)
      if (wanted) {
        width = wanted.cols
        parts.push(Float32Array.from(await this.network.backend.download(wanted)))
        for (let s = 0; s < rows.length; s++) {
          if (!this.readout) rows[s] += segments.offsets[s + 1] - segments.offsets[s]
          else if (s < rows.length - 1 || !segments.goesOn) rows[s] = 1
        }
        if (wanted !== hidden) this.network.backend.release(wanted)
      }
      if (hidden !== all) this.network.backend.release(hidden)
    }
    if (this.network.spec.reverse_complement) await this.runBothStrands(job, take)
    else await this.runRows(job, take)
    return { data: concatenate(parts), width, rows }
  }

  /** The listed hidden state that is wanted; undefined: the rows of the final norm. */
  private get layer(): number | undefined {
    return 'layer' in this.wanted ? this.wanted.layer : undefined
  }

  /** Hidden rows of the wanted layer. */
  private async runRows(chunk: Chunk, take: OnRows): Promise<void> {
    const { runner } = this
    const layer = this.layer
    if (layer === undefined) return runner.run(chunk, take)
    const onHidden: OnHidden = async (index, hidden, rowSegments) => {
      if (index === layer) await take(hidden, rowSegments)
    }
    await runner.run(chunk, async () => {}, onHidden)
  }

  /** Caduceus-PS: rows [T, 2D] of two runs, on the ids and on their reverse complement. Sequences are whole. */
  private async runBothStrands({ input, segments }: Chunk, take: OnRows): Promise<void> {
    const ids = input as Int32Array // layouts with reverse_complement have an embedding
    const { backend, spec } = this.network
    const { offsets } = segments
    const { complement } = spec.reverse_complement!
    const otherIds = new Int32Array(ids.length)
    for (let s = 0; s + 1 < offsets.length; s++) {
      otherIds.set(reverseComplementIds(ids.subarray(offsets[s], offsets[s + 1]), complement), offsets[s])
    }
    const collect = async (strand: Int32Array) => {
      const parts: FloatArray[] = []
      await this.runRows({ input: strand, segments }, async (hidden) => void parts.push(await backend.download(hidden)))
      return concatenate(parts) // [T, D]
    }
    const [g, r] = [await collect(ids), await collect(otherIds)]
    const { listed } = spec.hidden_states
    const layer = this.layer
    const blocks = layer === undefined || layer > listed ? spec.blocks.length : layer
    const D = spec.d_model
    const merged = new Float32Array(2 * g.length)
    for (let s = 0; s + 1 < offsets.length; s++) {
      const [from, to] = [offsets[s] * D, offsets[s + 1] * D]
      merged.set(mergeHidden(g.subarray(from, to), r.subarray(from, to), spec, blocks), 2 * from)
    }
    const hidden = backend.upload(merged, ids.length, 2 * D)
    await take(hidden, segments)
    backend.release(hidden)
  }

  /** Leaves out the rows of the special tokens that the tokenizer appends to a sequence. */
  private withoutAppended(hidden: Tensor, segments: Segments): { hidden: Tensor; segments: Segments } {
    if (this.appended === 0) return { hidden, segments }
    const { offsets, goesOn } = segments
    const kept: number[] = []
    const keptOffsets = new Int32Array(offsets.length)
    for (let s = 0; s + 1 < offsets.length; s++) {
      const ends = !goesOn || s + 2 < offsets.length
      for (let row = offsets[s]; row < offsets[s + 1] - (ends ? this.appended : 0); row++) kept.push(row)
      keptOffsets[s + 1] = kept.length
    }
    const rows = this.network.backend.gatherRows(hidden, Int32Array.from(kept))
    return { hidden: rows, segments: { ...segments, offsets: keptOffsets } }
  }

  private async read(hidden: Tensor, segments: Segments): Promise<Tensor | null> {
    if (this.wanted.kind === 'token logits') return this.network.head(hidden)
    if (!this.readout) return hidden
    const pooled = await this.readout.push(hidden, segments) // [S, D]
    if (this.wanted.kind !== 'logits' || !pooled) return pooled
    const logits = await this.network.head(pooled) // [S, labels]
    this.network.backend.release(pooled)
    return logits
  }
}
