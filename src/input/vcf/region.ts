import { exitCodes, UserError } from '../../errors.js'
import type { Site } from '../../text/vcf.js'
import type { Genome } from '../dna/genome.js'

/** Bases of a sequence of the genome, from 1, both ends included. */
export interface Region {
  chrom: string
  from: number
  to: number
}

/** `chr2`, `chr2:100` (to its end), `chr2:100-200`, with commas in the numbers or not, as in samtools. Errors: 2. */
export function parseRegion(text: string, genome: Genome): Region {
  const whole = { chrom: text, from: 1, to: Number.POSITIVE_INFINITY }
  if (genome.lengthOf(text) !== undefined) return whole
  const [, chrom = text, first = '1', last] = /^(.+):([\d,]+)(?:-([\d,]*))?$/.exec(text) ?? []
  const number = (digits: string) => Number(digits.replaceAll(',', ''))
  const region = { chrom, from: number(first), to: last ? number(last) : whole.to }
  const bad = (why: string) => new UserError(`--region ${text}: ${why}`, exitCodes.usage)
  if (genome.lengthOf(chrom) === undefined) throw bad(`${genome.path} has no sequence ${chrom}`)
  if (!(region.from >= 1 && region.to >= region.from))
    throw bad('expected a place such as chr2:100-200, counted from 1')
  return region
}

/** Whether any base of REF lies in a region. */
export const overlaps = ({ chrom, from, to }: Region, site: Site): boolean =>
  site.chrom === chrom && site.position <= to && site.position + site.ref.length > from
