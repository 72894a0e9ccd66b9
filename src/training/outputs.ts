import type { Backend, Tensor } from '../backends/backend.js'
import { wholeSegments } from '../backends/segments.js'
import { Network } from '../engine/network.js'
import { poolRows, withoutAppended } from '../engine/pooling.js'
import type { Random } from '../runtime/random.js'
import type { ModelSpec } from '../spec.js'
import { appendedTokens } from '../tokens/tokenizer.js'
import type { Batch, Examples } from './data/examples.js'
import { Tape } from './tape.js'

/** Logits of a batch, and the rows of each record: [S + 1]. */
export interface Outputs {
  logits: Tensor
  offsets: Int32Array
}

/**
 * A batch through network, pooling and head on a tape: class logits [S, C], one row per record, or logits [T', V] of
 * all token rows (CTC, next tokens).
 */
export async function outputs(
  tape: Tape,
  spec: ModelSpec,
  weights: Map<string, Tensor>,
  batch: Batch,
  headDropout: { p: number; random: Random } | null = null,
): Promise<Outputs> {
  const { head } = spec
  if (head === null) throw new Error('a model without a head is not trained')
  const network = new Network(tape, spec, weights)
  const { x: hidden, segments } = await network.forward(batch.input, wholeSegments(batch.offsets), null)
  const own = withoutAppended(tape, hidden, segments, appendedTokens(spec, true))
  const rows = head.kind === 'classes' ? poolRows(tape, own.hidden, own.segments, head.pool, null) : own.hidden
  const features = headDropout && headDropout.p > 0 ? tape.dropout(rows, headDropout.p, headDropout.random) : rows
  const logits = await network.head(features)
  tape.release(features)
  if (features !== rows) tape.release(rows)
  if (own.hidden !== rows) tape.release(own.hidden)
  if (hidden !== own.hidden) tape.release(hidden)
  const each = Int32Array.from({ length: batch.offsets.length }, (_, s) => s)
  return { logits, offsets: head.kind === 'classes' ? each : Int32Array.from(own.segments.offsets) }
}

/** Logits of records as they are, without gradients: the mean over the views (both strands of a symmetric model). */
export async function plainOutputs(
  backend: Backend,
  spec: ModelSpec,
  weights: Map<string, Tensor>,
  examples: Examples,
  indexes: ArrayLike<number>,
): Promise<{ logits: Float64Array; offsets: Int32Array; targets: Int32Array[] }> {
  let mean = new Float64Array()
  for (let view = 0; ; view++) {
    const batch = examples.plain(indexes, view)
    const { logits, offsets } = await outputs(new Tape(backend, new Map()), spec, weights, batch)
    const values = await backend.download(logits)
    backend.release(logits)
    if (view === 0) mean = new Float64Array(values.length)
    for (const [i, x] of values.entries()) mean[i] += x / examples.views
    if (view + 1 === examples.views) return { logits: mean, offsets, targets: batch.targets }
  }
}
