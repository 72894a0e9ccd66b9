import { exitCodes, UserError } from '../shell/errors.js'
import type { ModelSpec } from '../spec.js'
import { caduceusIds } from './caduceus.js'

/** Token ids of base codes; `ends`: the sequence ends here, so that a tokenizer may append its end token. */
export type Tokenize = (codes: Uint8Array, ends: boolean) => Uint8Array

/** Errors: 69 for a model that does not read bases. */
export function tokenizer({ tokenizer }: ModelSpec): Tokenize {
  switch (tokenizer) {
    case 'dna':
      return (codes) => codes
    case 'caduceus':
      return caduceusIds
    case 'ids':
      throw new UserError('this model reads token ids of its own, not DNA; take a DNA model', exitCodes.unavailable)
    default:
      return tokenizer satisfies never
  }
}

/** How many tokens a tokenizer appends to a sequence; read-outs, windows and per-token output leave them out. */
export function appendedTokens({ tokenizer }: ModelSpec): number {
  return tokenizer === 'caduceus' ? 1 : 0
}
