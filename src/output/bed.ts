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

/**
 * The id up to the first white space, as samtools and bedtools read it from FASTA. Errors: 65 for a name that is none,
 * or whose lines readers of BED pass over.
 */
function chromOf(record: SequenceRecord): string {
  const [chrom] = record.id.trimStart().split(/\s/, 1)
  if (chrom !== '' && !/^(#|(track|browser)$)/.test(chrom)) return chrom
  const why = chrom === '' ? 'BED needs a name' : 'readers of BED pass over lines that begin with this name'
  throw new UserError(`${record.file}: record ${nameId(record.id)}, line ${record.line}: ${why}`, exitCodes.data)
}

/** White space would end a field for some readers, and an empty one is none for all. */
const fieldOf = (name: string) => name.replace(/\s+/g, '_') || '.'
