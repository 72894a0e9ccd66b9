import { exitCodes, UserError } from '../errors.js'
import { nameId, type SequenceRecord } from '../input/dna/records.js'
import type { Output } from './output.js'
import type { RowWriter } from './rows.js'

/** A line of BED: bases of a record, 0-based and half-open. */
export interface Feature {
  record: SequenceRecord
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
function chromOf({ id, file, line }: SequenceRecord): string {
  if (id !== '' && !/^(#|(track|browser)$)/.test(id)) return id
  const why = id === '' ? 'BED needs a name' : 'readers of BED pass over lines that begin with this name'
  throw new UserError(`${file}: record ${nameId(id)}, line ${line}: ${why}`, exitCodes.data)
}

/** White space would end a field for some readers, and an empty one is none for all. */
const fieldOf = (name: string) => name.replace(/\s+/g, '_') || '.'
