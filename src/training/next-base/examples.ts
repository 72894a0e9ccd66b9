import { N } from '../../input/dna/letters.js'
import type { Random } from '../../runtime/random.js'
import type { ModelSpec } from '../../spec.js'
import { reverseComplement } from '../../tokens/dna.js'
import { dnaTokenizer } from '../../tokens/tokenizer.js'
import { type Batch, type Examples, joined } from '../data/examples.js'
import type { Records } from '../dna/records.js'
import { nothing } from '../losses.js'

/** Batches of windows of DNA, with the base that follows each base. */
export class NextBaseExamples implements Examples {
  readonly views = 1
  private readonly ids: (codes: Uint8Array) => Int32Array
  private readonly symmetric: boolean

  constructor(
    private readonly windows: Records,
    { input, strand }: Pick<ModelSpec, 'input' | 'strand'>,
  ) {
    const tokenizer = dnaTokenizer(input)
    this.ids = (codes) => tokenizer.ids(codes, true)
    this.symmetric = strand === 'symmetric'
  }

  plain(indexes: ArrayLike<number>): Batch {
    return this.pack(indexes, (codes) => codes)
  }

  augmented(indexes: ArrayLike<number>, random: Random): Batch {
    return this.pack(indexes, (codes) => (this.symmetric && random.int(2) === 1 ? reverseComplement(codes) : codes))
  }

  private pack(indexes: ArrayLike<number>, change: (codes: Uint8Array) => Uint8Array): Batch {
    const { codes, offsets } = this.windows
    const parts = Array.from(indexes, (i) => change(codes.subarray(offsets[i], offsets[i + 1])))
    return { ...joined(parts.map(this.ids), 1), targets: parts.map(following) }
  }
}

/** [L] The base behind each base of a window; nothing behind the last one, and where it is N. */
const following = (codes: Uint8Array): Int32Array =>
  Int32Array.from(codes, (_, t) => (t + 1 < codes.length && codes[t + 1] !== N ? codes[t + 1] : nothing))
