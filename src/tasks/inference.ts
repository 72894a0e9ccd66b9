import type { Segments, Tensor } from '../backends/backend.js'
import type { Network } from '../engine/network.js'
import { Runner } from '../engine/runner.js'
import type { Pool } from '../spec.js'
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
  ids: Uint8Array
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

  constructor(
    private readonly network: Network,
    chunk: number,
    private readonly wanted: Wanted,
  ) {
    this.runner = new Runner(network, chunk)
    this.readout = wanted.kind === 'rows' ? null : new Readout(network.backend, wanted.pool)
  }

  async run({ ids, segments }: InferenceJob): Promise<InferenceResult> {
    const parts: Float32Array[] = []
    const rows = new Int32Array(segments.offsets.length - 1)
    let width = 0
    const take = async (hidden: Tensor, { offsets, ...cut }: Segments) => {
      const wanted = await this.read(hidden, { offsets, ...cut })
      if (!wanted) return
      width = wanted.cols
      parts.push(Float32Array.from(await this.network.backend.download(wanted)))
      if (wanted !== hidden) this.network.backend.release(wanted)
      for (let s = 0; s < rows.length; s++) {
        if (!this.readout) rows[s] += offsets[s + 1] - offsets[s]
        else if (s < rows.length - 1 || !cut.goesOn) rows[s] = 1
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
    await this.runner.run({ ids: Int32Array.from(ids), segments }, onRows, onHidden)
    return { data: concatenate(parts), width, rows }
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
