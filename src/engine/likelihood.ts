import type { Tensor } from '../backends/backend.js'
import { logSumExp } from '../runtime/softmax.js'
import { headWidth } from './footprint.js'
import type { Network } from './network.js'

/** Logits that are held at a time: with 50,000 of them to a row no more than 41 rows. */
export const mostLogits = 2 ** 21

/**
 * Of each row [T, D] (without `head` logits [T, V]) the logarithm of the probability of its target; 0 where that is -1.
 * Only rows with a target go through the head.
 */
export async function likelihoods(
  network: Network,
  rows: Tensor,
  targets: Int32Array,
  head = false,
): Promise<Float32Array> {
  const b = network.backend
  const out = new Float32Array(rows.rows)
  const asked: number[] = []
  for (let t = 0; t < rows.rows; t++) if (targets[t] >= 0) asked.push(t)
  const atATime = rowsAtATime(head ? headWidth(network.spec) : rows.cols)
  for (let from = 0; from < asked.length; from += atATime) {
    const some = Int32Array.from(asked.slice(from, from + atATime))
    const gathered = some.length === rows.rows ? rows : b.gatherRows(rows, some)
    const logits = head ? await network.head(gathered) : gathered
    const numbers = await b.download(logits)
    for (const [i, t] of some.entries()) {
      const at = i * logits.cols
      out[t] = numbers[at + targets[t]] - logSumExp(numbers, at, logits.cols)
    }
    b.release(...[gathered, logits].filter((x, i, all) => x !== rows && all.indexOf(x) === i))
  }
  return out
}

/** Rows of so many logits that are made together. */
const rowsAtATime = (V: number): number => Math.max(1, Math.floor(mostLogits / V))
