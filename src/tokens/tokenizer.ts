import { exitCodes, UserError } from '../errors.js'
import type { InputSpec, ModelSpec } from '../spec.js'
import { caduceusIds } from './caduceus.js'

/**
 * From cleaned DNA, one code per base (A, C, G, T, N = 0 .. 4), to the ids of a model, piece by piece. One id per base.
 */
export interface DnaTokenizer {
  /** How many special ids follow the last base of a record; pooling, windows and per-token output leave them out. */
  readonly appended: number
  /** `last`: these codes end their record. */
  ids(codes: Uint8Array, last: boolean): Int32Array
}

/** Our own models read the codes as they are. */
const dna: DnaTokenizer = { appended: 0, ids: (codes) => Int32Array.from(codes) }
const caduceus: DnaTokenizer = { appended: 1, ids: caduceusIds }

/** Errors: 69 for a model that does not read DNA letters. */
export function dnaTokenizer(input: InputSpec): DnaTokenizer {
  switch (input.kind === 'tokens' ? input.tokenizer : input.kind) {
    case 'dna':
      return dna
    case 'caduceus':
      return caduceus
    case 'log-mel':
      throw new UserError('this model reads audio, not DNA; use a DNA model', exitCodes.unavailable)
    case 'values':
      throw new UserError('this model reads rows of numbers, not DNA; use a DNA model', exitCodes.unavailable)
    case 'ids':
      throw new UserError('this model reads token ids, not DNA; use a DNA model', exitCodes.unavailable)
  }
}

/** How many special ids a model's tokenizer appends to a sequence; none where the caller brings ids. */
export function appendedTokens({ input }: ModelSpec): number {
  return input.kind !== 'tokens' || input.tokenizer === 'ids' ? 0 : dnaTokenizer(input).appended
}
