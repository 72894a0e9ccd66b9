import { N } from '../../input/dna/letters.js'
import type { SequenceRecord } from '../../input/dna/records.js'
import type { RecordSize } from '../run.js'
import type { Part } from '../windows.js'

/** Counts the bases of records, and the N among them, while they are read. */
export class Composition {
  private readonly counts = new WeakMap<SequenceRecord, { bases: number; n: number }>()

  async *of(parts: AsyncIterable<Part<Uint8Array>>): AsyncGenerator<Part<Uint8Array>> {
    for await (const part of parts) {
      const { record, offset, rows } = part
      const before = offset === 0 ? 0 : this.counts.get(record)!.n
      this.counts.set(record, { bases: offset + rows.length, n: before + countN(rows) })
      yield part
    }
  }

  /** Of a record that has been read to its end. */
  size(record: SequenceRecord): RecordSize {
    const { bases, n } = this.counts.get(record)!
    return { length: bases, nFraction: n / bases }
  }
}

export function countN(codes: Uint8Array): number {
  let count = 0
  for (let i = 0; i < codes.length; i++) if (codes[i] === N) count++
  return count
}
