import { exitCodes, UserError } from '../errors.js'
import type { InputSpec, ModelSpec, TokensInput } from '../spec.js'
import { caduceusIds, caduceusMask, caduceusVocabulary, isCaduceusBase } from './caduceus.js'
import { isPlantCaduceusBase, plantCaduceusIds, plantCaduceusMask, plantCaduceusVocabulary } from './plant-caduceus.js'

/**
 * From cleaned DNA, one code per base (A, C, G, T, N = 0 .. 4), to the ids of a model, piece by piece. One id per base.
 */
export interface DnaTokenizer {
  /** How many special ids follow the last base of a record; pooling, windows and per-token output leave them out. */
  readonly appended: number
  /** Stands for a base that is to be guessed; absent: there is no such id. */
  readonly mask?: number
  /** Whether an id is A, C, G or T, and which of them. */
  counts(id: number): boolean
  letter(id: number): string
  /** `last`: these codes end their record. */
  ids(codes: Uint8Array, last: boolean): Int32Array
}

/** Our own models read the codes as they are. */
const dna: DnaTokenizer = {
  appended: 0,
  counts: (id) => id >= 0 && id < 4,
  letter: (id) => 'ACGTN'[id],
  ids: (codes) => Int32Array.from(codes),
}
const caduceus: DnaTokenizer = {
  appended: 1,
  mask: caduceusMask,
  counts: isCaduceusBase,
  letter: (id) => caduceusVocabulary[id],
  ids: caduceusIds,
}
const plantCaduceus: DnaTokenizer = {
  appended: 0,
  mask: plantCaduceusMask,
  counts: isPlantCaduceusBase,
  letter: (id) => plantCaduceusVocabulary[id],
  ids: plantCaduceusIds,
}

/** Errors: 69 for a model that does not read DNA letters. */
export function dnaTokenizer(input: InputSpec): DnaTokenizer {
  switch (input.kind === 'tokens' ? input.tokenizer : input.kind) {
    case 'dna':
      return dna
    case 'caduceus':
      return caduceus
    case 'plantcaduceus':
      return plantCaduceus
    case 'log-mel':
      throw new UserError('this model reads audio, not DNA; use a DNA model', exitCodes.unavailable)
    case 'values':
      throw new UserError('this model reads rows of numbers, not DNA; use a DNA model', exitCodes.unavailable)
    case 'ids':
      throw new UserError('this model reads text, not DNA; use a DNA model', exitCodes.unavailable)
  }
}

/**
 * How many special ids at the end of a sequence are passed over: those that a model's tokenizer appends, none where the caller brings ids
 * or where the head that reads the rows (`headReads`) is to see them.
 */
export function appendedTokens({ input, head }: ModelSpec, headReads: boolean): number {
  if (input.kind !== 'tokens' || input.tokenizer === 'ids') return 0
  return headReads && head?.kind === 'classes' && head.appended ? 0 : dnaTokenizer(input).appended
}

/** A model whose ids a tokenizer beside its checkpoint makes of text. */
export const readsText = (spec: ModelSpec): spec is ModelSpec & { input: TokensInput } =>
  spec.input.kind === 'tokens' && spec.input.tokenizer === 'ids'

/** What positions in a record count. */
export type Unit = 'bases' | 'tokens' | 'seconds'

export function unitOf(spec: ModelSpec): Unit {
  if (spec.input.kind === 'log-mel') return 'seconds'
  return readsText(spec) ? 'tokens' : 'bases'
}
