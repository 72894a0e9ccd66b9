import { type Batch, type Examples, joined } from '../data/examples.js'
import { type Labelled, type LabelledSource, readLabelled } from '../data/labelled.js'
import type { LabelTable } from '../data/labels.js'
import { type Packed, packed } from '../data/packed.js'
import { targetOf } from '../data/targets.js'

/** Texts as the ids of their tokens, each with its class. */
export interface Texts extends Packed<Int32Array> {
  kind: 'text'
}

/** All texts of a labelled set in shared memory. Parameters, errors: see `readLabelled`. */
export async function loadTexts(
  source: AsyncIterable<LabelledSource<Int32Array>>,
  table: LabelTable,
  classes: string[] | null,
  note: (line: string) => void,
): Promise<Texts & Labelled> {
  const { parts, targets, ...labelled } = await readLabelled(source, table, classes, null, note)
  const shared = packed(parts, targets, (length) => new Int32Array(new SharedArrayBuffer(4 * length)))
  return { kind: 'text', ...labelled, ...shared }
}

/** Batches of texts. */
export class TextExamples implements Examples {
  readonly views = 1

  constructor(private readonly texts: Texts) {}

  plain(indexes: ArrayLike<number>): Batch {
    const { codes, offsets } = this.texts
    const parts = Array.from(indexes, (i) => codes.subarray(offsets[i], offsets[i + 1]))
    return { ...joined(parts, 1), targets: Array.from(indexes, (i) => targetOf(this.texts, i)) }
  }

  augmented(indexes: ArrayLike<number>): Batch {
    return this.plain(indexes)
  }
}
