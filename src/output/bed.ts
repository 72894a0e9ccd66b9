import { exitCodes, UserError } from '../errors.js'
import { shortened } from '../text/printable.js'
import type { Output } from './output.js'
import type { RowWriter } from './rows.js'

/** A record: its name, and where that stands. */
export interface BedRecord {
  readonly id: string
  readonly file: string
  readonly line: number
}

/** A line of BED: bases of a record, 0-based and half-open. */
export interface Feature {
  record: BedRecord
  start: number
  end: number
  name: string
  /** 0 to 1. */
  score: number
}

/** BED6 without a track line, in the order of the features; no strand. */
export async function bedRows(output: Output): Promise<RowWriter<Feature>> {
  return {
    write: ({ record, start, end, name, score }) =>
      output.write(`${chromOf(record)}\t${start}\t${end}\t${fieldOf(name)}\t${Math.round(1000 * score)}\t.\n`),
    end: async () => {},
  }
}

/** The id, which has no white space. Errors: 65 for one that is empty, or whose lines readers of BED pass over. */
export function chromOf({ id, file, line }: BedRecord): string {
  if (id !== '' && !/^(#|(track|browser)$)/.test(id)) return id
  const [name, why] =
    id === '' ? ['(no name)', 'BED needs one'] : [shortened(id, 120), 'readers of BED pass over lines that begin so']
  throw new UserError(`${file}: record ${name}, line ${line}: ${why}`, exitCodes.data)
}

/** White space would end a field for some readers, and an empty one is none for all. */
const fieldOf = (name: string) => name.replace(/\s+/g, '_') || '.'
