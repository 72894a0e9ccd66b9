import { N } from '../../input/dna/letters.js'
import type { Random } from '../../runtime/random.js'
import type { ModelSpec } from '../../spec.js'
import { reverseComplement } from '../../tokens/dna.js'
import { type DnaTokenizer, dnaTokenizer } from '../../tokens/tokenizer.js'
import { type Batch, type Examples, joined } from '../data/examples.js'
import { type Packed, packed } from '../data/packed.js'
import type { DnaOptions } from './settings.js'

/** Records of DNA, each with its class. Codes: A, C, G, T, N = 0 .. 4. */
export interface Records extends Packed<Uint8Array> {
  kind: 'dna'
}

export const shareRecords = (parts: readonly Uint8Array[], targets: readonly ArrayLike<number>[]): Records => ({
  kind: 'dna',
  ...packed(parts, targets, (length) => new Uint8Array(new SharedArrayBuffer(length))),
})

export type DnaAugmentation = Pick<DnaOptions, 'substitutions' | 'crop' | 'shift' | 'crossover'>

/** Batches of DNA records; a symmetric model reads both strands. */
export class DnaExamples implements Examples {
  readonly views: number
  private readonly tokenizer: DnaTokenizer
  private readonly symmetric: boolean

  constructor(
    private readonly records: Records,
    { input, strand }: Pick<ModelSpec, 'input' | 'strand'>,
    private readonly augmentation: DnaAugmentation,
  ) {
    this.tokenizer = dnaTokenizer(input)
    this.symmetric = strand === 'symmetric'
    this.views = this.symmetric ? 2 : 1
  }

  plain(indexes: ArrayLike<number>, view = 0): Batch {
    return this.pack(indexes, (codes) => (view === 1 ? reverseComplement(codes) : codes))
  }

  augmented(indexes: ArrayLike<number>, random: Random): Batch {
    const { substitutions, crop, shift, crossover } = this.augmentation
    return this.pack(indexes, (original, index) => {
      let codes = crossover > 0 && random.uniform() < crossover ? this.crossed(index, original, random) : original
      if (crop > 0 && crop < codes.length) {
        const from = random.int(codes.length - crop + 1)
        codes = codes.subarray(from, from + crop)
      }
      if (shift > 0) codes = slide(codes, random.int(2 * shift + 1) - shift)
      if (this.symmetric && random.int(2) === 1) codes = reverseComplement(codes)
      if (substitutions > 0) {
        codes = codes.slice()
        for (let i = 0; i < codes.length; i++)
          if (random.uniform() < substitutions && codes[i] < N) codes[i] = (codes[i] + 1 + random.int(3)) % 4
      }
      return codes
    })
  }

  /**
   * The record with the shorter of its sides, seen from a random place, taken from another record of its class and
   * length: where positions count (a splice site at the centre), what is near one is nearly independent of what is far
   * from it.
   */
  private crossed(index: number, codes: Uint8Array, random: Random): Uint8Array {
    const { targets, offsets } = this.records
    for (let tries = 0; tries < 100; tries++) {
      const other = random.int(targets.length)
      const from = offsets[other]
      if (targets[other] !== targets[index] || offsets[other + 1] - from !== codes.length) continue
      const place = random.int(codes.length)
      const out = codes.slice()
      if (place < codes.length / 2) out.set(this.records.codes.subarray(from, from + place))
      else out.set(this.records.codes.subarray(from + place, from + codes.length), place)
      return out
    }
    return codes
  }

  private pack(indexes: ArrayLike<number>, change: (codes: Uint8Array, index: number) => Uint8Array): Batch {
    const { codes, offsets, targets } = this.records
    const parts = Array.from(indexes, (i) =>
      this.tokenizer.ids(change(codes.subarray(offsets[i], offsets[i + 1]), i), true),
    )
    return { ...joined(parts, 1), targets: Array.from(indexes, (i) => targets.subarray(i, i + 1)) }
  }
}

/** The record moved to the right by `by` bases (to the left, if negative) in a frame of its own length. */
function slide(codes: Uint8Array, by: number): Uint8Array {
  const out = new Uint8Array(codes.length).fill(N)
  if (by >= 0) out.set(codes.subarray(0, Math.max(0, codes.length - by)), Math.min(by, codes.length))
  else out.set(codes.subarray(-by))
  return out
}
