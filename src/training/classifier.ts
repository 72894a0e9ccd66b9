import type { Backend, Tensor } from '../backends/backend.js'
import { Network } from '../engine/network.js'
import type { ModelSpec } from '../spec.js'
import { softmax } from '../tasks/softmax.js'
import { appendedTokens, dnaTokenizer } from '../tokens/tokenizer.js'
import type { Random } from './random.js'
import { type Batch, plainBatch, type Records } from './records.js'
import { Tape } from './tape.js'

/** ids to class logits [S, C] on a tape: network, read-out, head. */
export async function classLogits(
  tape: Tape,
  spec: ModelSpec,
  weights: Map<string, Tensor>,
  batch: Batch,
  headDropout: { p: number; random: Random } | null = null,
): Promise<Tensor> {
  if (spec.head?.kind !== 'classes') throw new Error('only classifiers are trained')
  const network = new Network(tape, spec, weights)
  const whole = { offsets: batch.offsets, continues: false, goesOn: false }
  const { hidden, segments } = await network.forward(batch.ids, whole, null)
  const own = withoutAppended(tape, hidden, segments.offsets, appendedTokens(spec))
  const rows = readOut(tape, own.hidden, own.offsets, spec.head.pool)
  const features = headDropout && headDropout.p > 0 ? tape.dropout(rows, headDropout.p, headDropout.random) : rows
  const logits = await network.head(features)
  tape.release(features)
  if (features !== rows) tape.release(rows)
  if (own.hidden !== hidden) tape.release(own.hidden)
  tape.release(hidden)
  return logits
}

/** The rows that stand for bases: without those of the tokens that a tokenizer appends to each record. */
function withoutAppended(tape: Tape, hidden: Tensor, offsets: Int32Array, appended: number) {
  if (appended === 0) return { hidden, offsets }
  const kept = [...offsets.keys()].slice(1).flatMap((s) => range(offsets[s - 1], offsets[s] - appended))
  return { hidden: tape.gatherRows(hidden, Int32Array.from(kept)), offsets: offsets.map((at, s) => at - s * appended) }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

/** hidden [T', D] -> [S, D], or [S, L' D] for `positions`; rows are chosen as in tasks/readout.ts. */
function readOut(tape: Tape, hidden: Tensor, offsets: Int32Array, pool: string): Tensor {
  const records = offsets.length - 1
  switch (pool) {
    case 'mean':
    case 'max':
      return tape.pool(hidden, { offsets, continues: false, goesOn: false }, pool)
    case 'last':
      return tape.gatherRows(
        hidden,
        offsets.slice(1).map((end) => end - 1),
      )
    case 'center':
      return tape.gatherRows(
        hidden,
        offsets.slice(1).map((end, s) => (offsets[s] + end) >> 1),
      )
    case 'positions':
      return tape.reshape(hidden, records, (hidden.rows / records) * hidden.cols)
    default:
      throw new Error(`no read-out '${pool}'`)
  }
}

/** Class probabilities [S, C] of records, without gradients; of a symmetric model from the mean logits of both strands. */
export async function classProbabilities(
  backend: Backend,
  spec: ModelSpec,
  weights: Map<string, Tensor>,
  records: Records,
  indexes: ArrayLike<number>,
): Promise<Float64Array> {
  const strands = spec.strand === 'symmetric' ? [false, true] : [false]
  const mean: number[] = []
  let classes = 0
  for (const reverse of strands) {
    const tape = new Tape(backend, new Map())
    const logits = await classLogits(
      tape,
      spec,
      weights,
      plainBatch(records, indexes, dnaTokenizer(spec.tokenizer), reverse),
    )
    classes = logits.cols
    for (const [i, x] of (await backend.download(logits)).entries()) mean[i] = (mean[i] ?? 0) + x / strands.length
    backend.release(logits)
  }
  const rows = Array.from(indexes, (_, s) => softmax(mean.slice(s * classes, (s + 1) * classes)))
  return Float64Array.from(rows.flatMap((row) => [...row]))
}
