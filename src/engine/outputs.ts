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

/** The output needs all rows of a sequence at once. */
export const needsWhole = ({ pool }: Output): boolean => pool === 'center' || pool === 'flatten'
