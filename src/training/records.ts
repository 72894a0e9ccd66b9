import { reverseComplement } from '../tokens/dna.js'
import type { DnaTokenizer } from '../tokens/tokenizer.js'
import type { Random } from './random.js'
import type { Regime } from './settings.js'

/** Records packed in shared memory, so that every worker reads the same bytes. Codes: A, C, G, T, N = 0 .. 4. */
export interface Records {
  codes: Uint8Array
  /** [records + 1] */
  offsets: Float64Array
  /** [records], the class of each. */
  labels: Int32Array
}

/** Whole segments of token ids, ready for a network. */
export interface Batch {
  ids: Int32Array
  /** [S + 1] */
  offsets: Int32Array
  labels: Int32Array
}

export type Augmentation = Pick<Regime, 'substitutions' | 'crop' | 'shift' | 'crossover'> & {
  reverseComplement: boolean
}

const N = 4

/** The records as they are; `reverse`: their other strands. */
export function plainBatch(
  records: Records,
  indexes: ArrayLike<number>,
  tokenizer: DnaTokenizer,
  reverse = false,
): Batch {
  return pack(records, indexes, tokenizer, (codes) => (reverse ? reverseComplement(codes) : codes))
}

/** The records changed at random, for training. */
export function augmentedBatch(
  records: Records,
  indexes: ArrayLike<number>,
  tokenizer: DnaTokenizer,
  augmentation: Augmentation,
  random: Random,
): Batch {
  const { substitutions, crop, shift, crossover } = augmentation
  return pack(records, indexes, tokenizer, (original, index) => {
    let codes = crossover > 0 && random.uniform() < crossover ? crossed(records, index, original, random) : original
    if (crop > 0 && crop < codes.length) {
      const from = random.int(codes.length - crop + 1)
      codes = codes.subarray(from, from + crop)
    }
    if (shift > 0) codes = slide(codes, random.int(2 * shift + 1) - shift)
    if (augmentation.reverseComplement && random.int(2) === 1) codes = reverseComplement(codes)
    if (substitutions > 0) {
      codes = codes.slice()
      for (let i = 0; i < codes.length; i++)
        if (random.uniform() < substitutions && codes[i] < N) codes[i] = (codes[i] + 1 + random.int(3)) % 4
    }
    return codes
  })
}

/**
 * The record with the shorter of its sides, seen from a random place, taken from another record of its class and length:
 * where positions count (a splice site at the centre), what is near one is nearly independent of what is far from it.
 */
function crossed(records: Records, index: number, codes: Uint8Array, random: Random): Uint8Array {
  for (let tries = 0; tries < 100; tries++) {
    const other = random.int(records.labels.length)
    const from = records.offsets[other]
    if (records.labels[other] !== records.labels[index] || records.offsets[other + 1] - from !== codes.length) continue
    const place = random.int(codes.length)
    const out = codes.slice()
    if (place < codes.length / 2) out.set(records.codes.subarray(from, from + place))
    else out.set(records.codes.subarray(from + place, from + codes.length), place)
    return out
  }
  return codes
}

/** The record moved to the right by `by` bases (to the left, if negative) in a frame of its own length. */
function slide(codes: Uint8Array, by: number): Uint8Array {
  const out = new Uint8Array(codes.length).fill(N)
  if (by >= 0) out.set(codes.subarray(0, Math.max(0, codes.length - by)), Math.min(by, codes.length))
  else out.set(codes.subarray(-by))
  return out
}

function pack(
  records: Records,
  indexes: ArrayLike<number>,
  tokenizer: DnaTokenizer,
  change: (codes: Uint8Array, index: number) => Uint8Array,
): Batch {
  const parts: Int32Array[] = []
  const offsets = new Int32Array(indexes.length + 1)
  const labels = new Int32Array(indexes.length)
  for (let s = 0; s < indexes.length; s++) {
    const i = indexes[s]
    const part = tokenizer.ids(change(records.codes.subarray(records.offsets[i], records.offsets[i + 1]), i), true)
    parts.push(part)
    offsets[s + 1] = offsets[s] + part.length
    labels[s] = records.labels[i]
  }
  const ids = new Int32Array(offsets[indexes.length])
  for (const [s, part] of parts.entries()) ids.set(part, offsets[s])
  return { ids, offsets, labels }
}
