import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { exitCodes, UserError } from '../../errors.js'
import { readTable, type TableRow } from './table.js'

/** A line of a table: the label (or the text) of a record (or of a recording, by its path). */
export interface Entry {
  id: string
  label: string
  line: number
}

/** What the first column of a table is called, in any case, with or without `#` before it. */
const header =
  /^#?\s*(id|name|path|accession|fname|(file|record|recording|read|sample|seq|sequence|utterance)[ _.-]?(id|name|path)?)$/i

/**
 * Labels (or texts) by record id (or path), from lines `id<TAB>label`; more columns are ignored, and so is a first line
 * whose first field is a usual name of such a column. Any other first line may still be a header, which only the data
 * can tell: one that names no record, with a label that no other line has, is taken for one, with a warning.
 */
export class LabelTable {
  private readonly byId: ReadonlyMap<string, Entry>

  private constructor(
    readonly file: string,
    /** Of what was read. */
    readonly sha256: string,
    private readonly entries: readonly Entry[],
    /** The first entry stands in the first line. */
    private readonly mayHaveHeader: boolean,
  ) {
    this.byId = new Map(entries.map((entry) => [entry.id, entry]))
  }

  /**
   * `silence`: an empty text is one too, of a recording in which nothing is said. Errors: 65 for a line without a label,
   * an id that comes twice, or a table without entries; those of `readTable`.
   */
  static async read(file: string, { silence = false } = {}): Promise<LabelTable> {
    const { rows, sha256 } = await readTable(file)
    const named = rows.length > 0 && header.test(rows[0].fields[0])
    const entries = entriesOf(file, named ? rows.slice(1) : rows, silence)
    if (entries.length === 0)
      throw new UserError(`${file}: no entries, expected lines id<TAB>label or path<TAB>text`, exitCodes.data)
    return new LabelTable(file, sha256, entries, !named)
  }

  /** Errors: 65 for a record that the table does not name. */
  entryOf({ id, file, line }: { id: string; file: string; line: number }): Entry {
    const entry = this.byId.get(id)
    if (entry) return entry
    throw new UserError(`${file}: record ${id}, line ${line}: no label in ${this.file}`, exitCodes.data)
  }

  /** The number of an entry's label among `classes`. Errors: 65 for another label. */
  classOf({ id, label, line }: Entry, classes: readonly string[]): number {
    const number = classes.indexOf(label)
    if (number >= 0) return number
    throw new UserError(
      `${this.file}: line ${line}: label '${label}' of record ${id}, expected one of ${classes.join(', ')}`,
      exitCodes.data,
    )
  }

  /** Says how many entries name none of the records that were read. */
  noteAbsent(present: ReadonlySet<string>, note: (line: string) => void): void {
    const entries = this.withoutHeader(present.has(this.entries[0].id), note)
    const absent = entries.filter(({ id }) => !present.has(id))
    if (absent.length === 0) return
    const [{ id, line }] = absent
    const count = `${absent.length} of ${entries.length} entries name no record that was read`
    note(`${this.file}: ${count}, the first: ${id} (line ${line})`)
  }

  /** The entries as recordings below `folder`. Errors: 65 for two of one file. */
  async recordings(folder: string, note: (line: string) => void): Promise<Entry[]> {
    const isThere = await access(join(folder, this.entries[0].id)).then(
      () => true,
      () => false,
    )
    const entries = this.withoutHeader(isThere, note)
    const byPath = new Map<string, Entry>()
    for (const entry of entries) {
      const path = resolve(join(folder, entry.id))
      const before = byPath.get(path)
      if (before)
        throw new UserError(
          `${this.file}: line ${entry.line}: ${entry.id} is ${before.id} of line ${before.line}`,
          exitCodes.data,
        )
      byPath.set(path, entry)
    }
    return entries
  }

  /** The entries, without a first line that turns out to be a header. `isThere`: the record that it names. */
  private withoutHeader(isThere: boolean, note: (line: string) => void): Entry[] {
    const [first, ...others] = this.entries
    const isHeader =
      this.mayHaveHeader && !isThere && others.length > 0 && others.every(({ label }) => label !== first.label)
    if (!isHeader) return [first, ...others]
    note(`${this.file}: line ${first.line}: taken for a header, because there is no record ${first.id}`)
    return others
  }
}

function entriesOf(file: string, rows: readonly TableRow[], silence: boolean): Entry[] {
  const lines = new Map<string, number>()
  return rows.map(({ line, fields: [id, label] }) => {
    if (label === undefined || (label === '' && !silence))
      throw new UserError(`${file}: line ${line}: expected id<TAB>label`, exitCodes.data)
    const before = lines.get(id)
    if (before)
      throw new UserError(`${file}: line ${line}: ${id} has a label on line ${before} already`, exitCodes.data)
    lines.set(id, line)
    return { id, label, line }
  })
}
