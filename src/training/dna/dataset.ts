import { exitCodes, UserError } from '../../errors.js'
import type { Entry, LabelTable } from '../data/labels.js'
import { type Records, shareRecords } from './records.js'

/** A record of a FASTA or FASTQ file with its codes A, C, G, T, N = 0 .. 4. */
export interface LabelledSource {
  id: string
  file: string
  /** Line of its header. */
  line: number
  codes: Uint8Array
}

export interface Dataset extends Records {
  /** Of each record. */
  ids: string[]
  /** Names of the labels by class number. */
  classes: string[]
  /** Bases of the longest record, and of the shortest. */
  longest: number
  shortest: number
}

/**
 * All records of a labelled set in shared memory; records of one id have one label, and each counts. `classes`: the
 * labels a model knows; null: those of the records, sorted. `length`: what every record must have (pooling `flatten`;
 * `first`: as many as the first); null: any. `note` takes warnings. Errors: 65, one line with file and line, for a
 * record that is empty, has no label, an unknown one or another length, and where there is no record.
 */
export async function loadDataset(
  source: AsyncIterable<LabelledSource>,
  table: LabelTable,
  classes: string[] | null,
  length: number | 'first' | null,
  note: (line: string) => void,
): Promise<Dataset> {
  const ids: string[] = []
  const parts: Uint8Array[] = []
  const entries: Entry[] = []
  for await (const record of source) {
    const { id, file, line, codes } = record
    const bad = (message: string) => new UserError(`${file}: record ${id}, line ${line}: ${message}`, exitCodes.data)
    if (codes.length === 0) throw bad('no bases')
    const expected = length === 'first' ? (parts[0]?.length ?? codes.length) : length
    if (expected !== null && codes.length !== expected)
      throw bad(`${codes.length} bases, expected ${expected} (the pooling 'flatten' takes one length)`)
    ids.push(id)
    parts.push(codes)
    entries.push(table.entryOf(record))
  }
  if (parts.length === 0) throw new UserError(`no records for ${table.file}`, exitCodes.data)
  table.noteAbsent(new Set(ids), note)
  const names = classes ?? [...new Set(entries.map(({ label }) => label))].sort()
  const labels = entries.map((entry) => table.classOf(entry, names))
  const lengths = parts.map(({ length }) => length)
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0)
  const shortest = lengths.reduce((least, length) => Math.min(least, length), longest)
  const records = shareRecords(
    parts,
    labels.map((label) => [label]),
  )
  return { ids, classes: names, longest, shortest, ...records }
}
