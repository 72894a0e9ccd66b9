import type { Genome } from '../../input/dna/genome.js'
import { letterCodes } from '../../input/dna/letters.js'
import type { SequenceRecord } from '../../input/dna/records.js'
import { isSpelt, shown } from '../../input/vcf/site.js'
import type { Site } from '../../text/vcf.js'

/** An allele in its surroundings. */
export interface AlleleWindow {
  record: SequenceRecord
  /** A, C, G, T, N are 0 to 4. */
  codes: Uint8Array
}

/**
 * A genome has letters for several bases, where a VCF, which has none for that, writes the first of them in the alphabet (VCF 4.3, section 1.6.1).
 */
const firstOf: Record<string, string> = {
  U: 'T', R: 'A', Y: 'C', S: 'C', W: 'A', K: 'G', M: 'A', B: 'C', D: 'A', H: 'A', V: 'A', X: 'N', '.': 'N', '-': 'N',
} // biome-ignore format: letters beside each other

/** What is wrong with a site in this genome; null: nothing. */
export async function mismatch({ chrom, position, ref }: Site, genome: Genome): Promise<string | null> {
  const length = genome.lengthOf(chrom)
  if (length === undefined) {
    const first = genome.firstName
    return `${genome.path} has no sequence ${shown(chrom)}${first === undefined ? '' : ` (its first is ${shown(first)})`}`
  }
  const start = position - 1
  if (start < 0 || start + ref.length > length) return `REF is beyond the sequence, which has ${length} bases`
  const there = (await genome.letters(chrom, start, start + ref.length)).toString('latin1').toUpperCase()
  const expected = ref.toUpperCase()
  const same = [...there].every((letter, i) => letter === expected[i] || firstOf[letter] === expected[i])
  return same ? null : `REF is ${shown(ref)}, but ${genome.path} has ${shown(there)}`
}

/** Bases before REF in a window of so many. */
const leftOf = ({ ref }: Site, window: number) => Math.floor((window - ref.length) / 2)

/** Alleles of a site that are spelt out and fit a window: of none of them there is nothing to compare. `tooLong` takes how many do not fit. */
export function scoredAlleles(site: Site, window: number): { alleles: number[]; tooLong: number } {
  const spelt = site.alts.flatMap((alt, i) => (isSpelt(alt) ? [i + 1] : []))
  const fits = (text: string) => text.length <= window - leftOf(site, window)
  const fitting = site.ref.length <= window ? spelt.filter((allele) => fits(site.alts[allele - 1])) : []
  return { alleles: fitting.length > 0 ? [0, ...fitting] : [], tooLong: spelt.length - fitting.length }
}

/**
 * A window for each allele: all begin at the same base of the genome, and where an allele is longer or shorter than REF
 * it ends so much earlier or later, so that all have the same number of bases. At the ends of a sequence there are fewer.
 */
export async function alleleWindows(
  site: Site,
  alleles: readonly number[],
  { genome, window, file }: { genome: Genome; window: number; file: string },
): Promise<AlleleWindow[]> {
  const { chrom, position, ref, alts, line } = site
  const texts = alleles.map((allele) => (allele === 0 ? ref : alts[allele - 1]))
  const at = position - 1
  const left = leftOf(site, window)
  const start = Math.max(0, at - left)
  const behind = at + ref.length
  const most = window - left - Math.min(...texts.map(({ length }) => length))
  const end = Math.min(genome.lengthOf(chrom)!, behind + most)
  const letters = await genome.letters(chrom, start, end)
  return texts.map((text) => {
    const rest = letters.subarray(behind - start, behind - start + window - left - text.length)
    const all = Buffer.concat([letters.subarray(0, at - start), Buffer.from(text), rest])
    const id = `${chrom}:${position} ${text}`
    return { record: { id, file, line }, codes: Uint8Array.from(all, (letter) => letterCodes[letter]) }
  })
}
