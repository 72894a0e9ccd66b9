import type { ModelSpec, Pool } from '../spec.js'
import { headWidth } from './footprint.js'

/** What is read of each sequence: rows of a hidden state, pooled or not, through the head or not. */
export interface Output {
  /** Counts the hidden states that the layout's official code lists; absent: after the final norm. */
  layer?: number
  /** One vector of each sequence, when it ends; absent: all rows. */
  pool?: Pool
  /** In place of that the mean of every so many rows; the last one of fewer. */
  bin?: number
  /** Logits in place of hidden rows. */
  head?: boolean
  /** In the place of the logits of a row the logarithm of the probability of its target (`Chunk.targets`); 0 where it has none. */
  likelihood?: boolean
  /** With likelihoods, behind those of a sequence when it ends: the mean of its rows, as many numbers more. */
  embedding?: boolean
}

/** What was read of the segments of a chunk, one after the other. */
export interface Read {
  /** [sum of rows, width] */
  data: Float32Array
  width: number
  /** Rows of each segment: of a pooled output one if its sequence ended, otherwise none; of bins those that ended. */
  rows: Int32Array
}

/**
 * Numbers that the head makes of each row at the same time. Likelihoods take a few rows at a time, and what is pooled a row
 * of each sequence: as many as there are rows at the most, of which only logits of tokens are many.
 */
export function headNumbers(spec: ModelSpec, { head, pool, likelihood }: Output = { head: true }): number {
  const few = likelihood || (pool && spec.head?.kind === 'tokens')
  return head && !few ? headWidth(spec) : 0
}

/** What a session reads for an output. */
export const readFor = ({ embedding, ...output }: Output): Output[] =>
  embedding ? [output, { pool: 'mean' }] : [output]

/** What was read for an output, as one: of each segment the numbers of the first read, then those of the next, [numbers, 1]. */
export function inOne(reads: readonly Read[]): Read {
  if (reads.length === 1) return reads[0]
  const data = new Float32Array(reads.reduce((sum, { data }) => sum + data.length, 0))
  const taken = reads.map(() => 0)
  let at = 0
  const rows = reads[0].rows.map((_, s) => {
    const from = at
    for (const [i, { data: numbers, rows, width }] of reads.entries()) {
      const some = numbers.subarray(taken[i], taken[i] + rows[s] * width)
      data.set(some, at)
      taken[i] += some.length
      at += some.length
    }
    return at - from
  })
  return { data, width: Math.min(1, data.length), rows }
}

/** The output needs all rows of a sequence at once. */
export const needsWhole = ({ pool }: Output): boolean => pool === 'center' || pool === 'flatten'
