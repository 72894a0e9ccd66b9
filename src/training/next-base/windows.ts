import { exitCodes, UserError } from '../../errors.js'
import { N } from '../../input/dna/letters.js'
import type { WholeRecord } from '../../input/dna/records.js'
import { type Records, shareRecords } from '../dna/records.js'

/** Windows of all records in shared memory, side by side, each of them a record for training. */
export interface Windows extends Records {
  /** Of the records that they were cut from. */
  records: number
  bases: number
}

/**
 * Records cut into windows of `length` bases, a last one of what is left. A window with no base that follows another
 * (one base, or N alone) is left out. Errors: 65 where none is left.
 */
export async function loadWindows(file: string, source: AsyncIterable<WholeRecord>, length: number): Promise<Windows> {
  const parts: Uint8Array[] = []
  let records = 0
  for await (const { codes } of source) {
    records++
    for (let from = 0; from < codes.length; from += length) {
      const window = codes.subarray(from, from + length)
      if (!window.subarray(1).some((code) => code !== N)) continue
      parts.push(window)
    }
  }
  if (parts.length === 0) throw new UserError(`${file}: no two bases to learn from`, exitCodes.data)
  const windows = shareRecords(
    parts,
    parts.map(() => []),
  )
  return { ...windows, records, bases: windows.codes.length }
}
