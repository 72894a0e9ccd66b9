import { readBytes, stdinName } from '../../input/bytes.js'
import { readSources } from '../../input/dna/read.js'
import { type WholeRecord, wholeRecords } from '../../input/dna/records.js'
import { Hashed } from '../data/hashed.js'

/** The records of a file, which is read once, so that it may be a pipe, and the SHA-256 of it when they were read. */
export function hashedRecords(
  path: string,
  note: (line: string) => void,
): { file: string; records: AsyncIterable<WholeRecord>; sha256: () => string } {
  const file = path === '-' ? stdinName : path
  const bytes = new Hashed(readBytes(path))
  const batches = readSources([{ file, bytes }], { report: ({ message }) => note(message) })
  return { file, records: wholeRecords(batches), sha256: () => bytes.sha256() }
}
