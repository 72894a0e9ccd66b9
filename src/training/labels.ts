import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'
import { exitCodes, UserError } from '../shell/errors.js'

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
