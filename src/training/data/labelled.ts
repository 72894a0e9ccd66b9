import { exitCodes, UserError } from '../../errors.js'
import type { Entry, LabelTable } from './labels.js'

/** A record of a file: codes of bases, or ids of tokens. */
export interface LabelledSource<Codes extends Uint8Array | Int32Array = Uint8Array> {
  id: string
  file: string
  /** Where it begins. */
  line: number
  codes: Codes
}

/** What is known of a labelled set, whatever its records hold. */
export interface Labelled {
  /** Of each record. */
  ids: string[]
  /** Names of the labels by class number. */
  classes: string[]
  /** Codes of the longest record, and of the shortest. */
  longest: number
  shortest: number
}

/**
 * All records of a labelled set, with the class of each; records of one id have one label, and each counts. `classes`: the
 * labels a model knows; null: those of the records, sorted. `length`: what every record must have (pooling `flatten`;
 * `first`: as many as the first); null: any. `note` takes warnings. Errors: 65, one line with file and line, for a
 * record that is empty, has no label, an unknown one or another length, and where there is no record.
 */
export async function readLabelled<Codes extends Uint8Array | Int32Array>(
  source: AsyncIterable<LabelledSource<Codes>>,
  table: LabelTable,
  classes: string[] | null,
  length: number | 'first' | null,
  note: (line: string) => void,
): Promise<Labelled & { parts: Codes[]; targets: number[][] }> {
  const ids: string[] = []
  const parts: Codes[] = []
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
  return { ids, classes: names, longest, shortest, parts, targets: labels.map((label) => [label]) }
}
