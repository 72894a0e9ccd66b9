import { exitCodes, UserError } from '../../errors.js'
import type { ReadOptions } from '../dna/read.js'
import { Problems } from '../problem.js'
import { InputShare } from '../share.js'
import { type Line, sitesOf, type Vcf } from './read.js'

/** A variant that a program has in memory, as the columns of a VCF say it. */
export interface GivenVariant {
  chrom: string
  /** From 1: that of the first base of `ref`. */
  position: number
  ref: string
  /** Several with commas between them. */
  alt: string
  /** Default: `.`, none. */
  id?: string
}

export type GivenVariants = Iterable<GivenVariant> | AsyncIterable<GivenVariant>

/** What messages call the file of a variant that is in none: `variants: line 3` is the third. */
const name = 'variants'

/** Variants as a VCF without a header. Errors (UserError): 65 for what is no variant, as in a file. */
export function givenVcf(variants: GivenVariants, { onError, report = () => {} }: ReadOptions): Vcf {
  const counts = { skippedRecords: 0, skippedFiles: 0 }
  const problems = new Problems(onError === 'skip', report, counts)
  return { file: name, header: [], share: new InputShare([]), counts, ...sitesOf(name, linesOf(variants), problems) }
}

async function* linesOf(variants: GivenVariants): AsyncGenerator<Line> {
  let number = 0
  for await (const given of variants) {
    number++
    const { chrom, position, id = '.', ref, alt } = given ?? {}
    const columns = [chrom, position, id, ref, alt]
    if (columns.some((value) => value === undefined || /[\t\r\n]/.test(String(value))))
      throw new UserError(`${name}: line ${number}: expected an object { chrom, position, ref, alt }`, exitCodes.data)
    yield { bytes: Buffer.from([...columns, '.', '.', '.'].join('\t')), number }
  }
}
