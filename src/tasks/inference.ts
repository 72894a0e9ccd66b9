import type { Segments, Tensor } from '../backends/backend.js'
import type { Network } from '../engine/network.js'
import { Runner } from '../engine/runner.js'
import type { Pool } from '../spec.js'
import { appendedTokens } from '../tokens/tokenizer.js'
import { Readout } from './readout.js'

/** What is wanted of each sequence. */
export type Wanted =
  /** Class logits [labels]. */
  | { kind: 'logits'; pool: Pool }
  /** One vector [D]; `layer` counts the listed hidden states, absent: after the final norm. */
  | { kind: 'pooled'; pool: Pool; layer?: number }
  /** All hidden rows [L', D]. */
  | { kind: 'rows'; layer?: number }

/** A packed chunk of token ids as it travels to a worker. */
export interface InferenceJob {
  ids: Int32Array
  segments: Segments
}

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
    this.readout = wanted.kind === 'rows' ? null : new Readout(network.backend, wanted.pool)
  }

  async run({ ids, segments }: InferenceJob): Promise<InferenceResult> {
    const parts: Float32Array[] = []
    const rows = new Int32Array(segments.offsets.length - 1)
    let width = 0
    const take = async (all: Tensor, allSegments: Segments) => {
      const { hidden, segments: taken } = this.withoutAppended(all, allSegments)
      const { offsets, goesOn } = taken
      const wanted = await this.read(hidden, taken)
      if (!wanted) return
      width = wanted.cols
      parts.push(Float32Array.from(await this.network.backend.download(wanted)))
      if (wanted !== hidden) this.network.backend.release(wanted)
      if (hidden !== all) this.network.backend.release(hidden)
      for (let s = 0; s < rows.length; s++) {
        if (!this.readout) rows[s] += offsets[s + 1] - offsets[s]
        else if (s < rows.length - 1 || !goesOn) rows[s] = 1
      }
    }
    const layer = this.wanted.kind === 'logits' ? undefined : this.wanted.layer
    const onHidden =
      layer === undefined
        ? undefined
        : async (index: number, hidden: Tensor, rowSegments: Segments) => {
            if (index === layer) await take(hidden, rowSegments)
          }
    const onRows = layer === undefined ? take : async () => {}
    await this.runner.run({ ids, segments }, onRows, onHidden)
    return { data: concatenate(parts), width, rows }
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
    if (!this.readout) return hidden
    const pooled = await this.readout.push(hidden, segments) // [S, D]
    if (this.wanted.kind !== 'logits' || !pooled) return pooled
    const logits = await this.network.head(pooled) // [S, labels]
    this.network.backend.release(pooled)
    return logits
  }
}

function concatenate(parts: Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0]
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
