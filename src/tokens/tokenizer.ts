import type { ModelSpec } from '../spec.js'

/** Token ids of base codes; `ends`: the sequence ends here, so that a tokenizer may append its end token. */
export type Tokenize = (codes: Uint8Array, ends: boolean) => Uint8Array

export function tokenizer({ tokenizer }: ModelSpec): Tokenize {
  switch (tokenizer) {
    case 'dna':
      return (codes) => codes
    default:
      throw new Error(`no DNA tokenizer for ${tokenizer}`)
  }
}
