import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'
import { exitCodes, UserError } from '../shell/errors.js'
import type { Records } from './records.js'

/** A record of a FASTA or FASTQ file with its codes A, C, G, T, N = 0 .. 4. */
export interface LabelledSource {
  id: string
  file: string
  /** Line of its header. */
  line: number
  codes: Uint8Array
}

export interface Dataset extends Records {
  ids: string[]
  /** Names of the labels by class number. */
  classes: string[]
  /** Bases of the longest record. */
  longest: number
}

/**
 * Labels (or texts) by record id (or path), from lines `id<TAB>label`; more columns are ignored, and so is a first line that
 * starts with `id`, `file` or `path`.
 */
export class LabelTable {
  private constructor(
    readonly file: string,
    private readonly entries: ReadonlyMap<string, { label: string; line: number }>,
  ) {}

  static async read(file: string): Promise<LabelTable> {
    const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
      throw new UserError(`cannot read ${file}: ${error.code ?? error.message}`, exitCodes.noInput)
    })
    return new LabelTable(file, parse(file, text(file, bytes)))
  }

  get labels(): string[] {
    return [...new Set([...this.entries.values()].map(({ label }) => label))].sort()
  }

  get ids(): string[] {
    return [...this.entries.keys()]
  }

  /** Errors: 65 for an id that the table has not got. */
  labelOf(id: string): string {
    const entry = this.entries.get(id)
    if (entry) return entry.label
    throw new UserError(`${this.file}: nothing is said of ${id}`, exitCodes.data)
  }

  /** The number of a record's label among `classes`. Errors: 65 for a record without a label or with another one. */
  classOf({ id, file, line }: { id: string; file: string; line: number }, classes: string[]): number {
    const entry = this.entries.get(id)
    if (!entry) throw new UserError(`${file}: record ${id}, line ${line}: no label in ${this.file}`, exitCodes.data)
    const number = classes.indexOf(entry.label)
    if (number >= 0) return number
    throw new UserError(
      `${this.file}: line ${entry.line}: label '${entry.label}' of record ${id}, expected one of ${classes.join(', ')}`,
      exitCodes.data,
    )
  }
}

/**
 * All records of a labelled set in shared memory. `classes`: the labels a model knows; null: those of the table, sorted.
 * `length`: what every record must have (read-out `positions`; `first`: as many as the first); null: any. Errors: 65, one line with file and line, for a
 * record that comes twice, is empty, has no label, an unknown one or another length.
 */
export async function loadDataset(
  source: AsyncIterable<LabelledSource>,
  table: LabelTable,
  classes: string[] | null,
  length: number | 'first' | null,
): Promise<Dataset> {
  const names = classes ?? table.labels
  const seen = new Map<string, number>()
  const parts: Uint8Array[] = []
  const labels: number[] = []
  for await (const record of source) {
    const { id, file, line, codes } = record
    const bad = (message: string) => new UserError(`${file}: record ${id}, line ${line}: ${message}`, exitCodes.data)
    const before = seen.get(id)
    if (before !== undefined) throw bad(`a record of this name was there before, on line ${before}`)
    if (codes.length === 0) throw bad('no bases')
    const expected = length === 'first' ? (parts[0]?.length ?? codes.length) : length
    if (expected !== null && codes.length !== expected)
      throw bad(`${codes.length} bases, expected ${expected} (the read-out 'positions' takes one length)`)
    seen.set(id, line)
    parts.push(codes)
    labels.push(table.classOf(record, names))
  }
  if (parts.length === 0) throw new UserError(`no records for ${table.file}`, exitCodes.data)
  return {
    ids: [...seen.keys()],
    classes: names,
    longest: parts.reduce((most, part) => Math.max(most, part.length), 0),
    ...share(parts, labels),
  }
}

function share(parts: Uint8Array[], labels: number[]): Records {
  const offsets = new Float64Array(new SharedArrayBuffer(8 * (parts.length + 1)))
  for (const [i, part] of parts.entries()) offsets[i + 1] = offsets[i] + part.length
  const codes = new Uint8Array(new SharedArrayBuffer(offsets[parts.length]))
  for (const [i, part] of parts.entries()) codes.set(part, offsets[i])
  return { kind: 'dna', codes, offsets, ...shareTargets(labels.map((label) => [label])) }
}

/** Targets of records in shared memory. */
export function shareTargets(all: readonly ArrayLike<number>[]): { targets: Int32Array; targetOffsets: Int32Array } {
  const targetOffsets = new Int32Array(new SharedArrayBuffer(4 * (all.length + 1)))
  for (const [i, { length }] of all.entries()) targetOffsets[i + 1] = targetOffsets[i] + length
  const targets = new Int32Array(new SharedArrayBuffer(4 * targetOffsets[all.length]))
  for (const [i, target] of all.entries()) targets.set(target, targetOffsets[i])
  return { targets, targetOffsets }
}

function text(file: string, bytes: Buffer): string {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.toString()
  try {
    return gunzipSync(bytes).toString()
  } catch (error) {
    throw new UserError(`${file}: ${(error as Error).message} (damaged gzip)`, exitCodes.data)
  }
}

function parse(file: string, content: string): Map<string, { label: string; line: number }> {
  const entries = new Map<string, { label: string; line: number }>()
  for (const [i, row] of content
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .entries()) {
    if (row.trim() === '') continue
    const [id, label] = row.split('\t').map((field) => field.trim())
    if (i === 0 && /^#?(id|file|path)$/i.test(id)) continue
    const line = i + 1
    if (!label) throw new UserError(`${file}: line ${line}: expected id<TAB>label`, exitCodes.data)
    const before = entries.get(id)
    if (before)
      throw new UserError(`${file}: line ${line}: ${id} has a label on line ${before.line} already`, exitCodes.data)
    entries.set(id, { label, line })
  }
  return entries
}
