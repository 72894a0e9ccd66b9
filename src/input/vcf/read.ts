import { exitCodes, UserError } from '../../errors.js'
import type { Site } from '../../text/vcf.js'
import { stdinName } from '../bytes.js'
import type { ReadOptions } from '../dna/read.js'
import { FileProblem, Problems, type SkipCounts } from '../problem.js'
import { InputShare } from '../share.js'
import { unpack } from '../unpack.js'
import { parseSite } from './site.js'

/** Lines of cohorts are long: a genotype for each of half a million people. */
const mostBytes = 2 ** 28

export interface Line {
  /** Its own copy, without the line feed. */
  bytes: Buffer
  /** From 1. */
  number: number
}

/** The header of a VCF, and its other lines, to be read once. */
export interface Vcf {
  file: string
  /** Up to the line #CHROM, without line feeds. */
  header: Buffer[]
  /** Lines that are none are a problem, as the options say. */
  sites: AsyncIterable<Site>
  share: InputShare
  counts: SkipCounts
  /** What is wrong with a line. Errors: 65, unless bad lines are skipped. */
  refuse(site: Site, why: string): void
}

/** Opens a VCF, plain, gzip or bgzip; '-': standard input. Errors (UserError): 65 for what is none, 66, 74. */
export async function openVcf(path: string, { onError, report = () => {} }: ReadOptions): Promise<Vcf> {
  const file = path === '-' ? stdinName : path
  const share = new InputShare([path])
  const counts = { skippedRecords: 0, skippedFiles: 0 }
  const skipping = new Problems(onError === 'skip', report, counts)
  const strict = new Problems(false, report, counts)
  let problems = strict // without a header there is nothing to go on with
  const lines = linesOf(
    unpack(file, share.bytes(path), (warning) => problems.warn(file, warning), 'VCF'),
    ({ message, exitCode }, number) =>
      problems.file(file, number > 1 ? `line ${number}: ${message}` : message, exitCode),
  )
  const header = await headerOf(file, lines)
  problems = skipping
  return { file, header, share, counts, ...sitesOf(file, lines, skipping) }
}

/** What a VCF has in its lines, and `problems` what is wrong with them. */
export function sitesOf(file: string, lines: AsyncIterable<Line>, problems: Problems): Pick<Vcf, 'sites' | 'refuse'> {
  const refuse = (line: number, why: string) => problems.record(file, `line ${line}${why}`)
  return {
    sites: parsed(lines, (number, why) => refuse(number, `: ${why}`)),
    refuse: ({ line, chrom, position }, why) => refuse(line, `, ${chrom}:${position}: ${why}`),
  }
}

async function headerOf(file: string, lines: AsyncIterator<Line>): Promise<Buffer[]> {
  const bad = (what: string) => new UserError(`${file}: ${what}`, exitCodes.data)
  const header: Buffer[] = []
  for (let next = await lines.next(); !next.done; next = await lines.next()) {
    const { bytes, number } = next.value
    const start = bytes.toString('latin1', 0, 64)
    if (number === 1 && !start.startsWith('##fileformat=VCF'))
      throw bad('expected VCF, which begins with ##fileformat=VCF (of BCF, bcftools view makes it)')
    header.push(bytes)
    if (/^#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO(\t|\r?$)/.test(start)) return header
    if (!start.startsWith('##'))
      throw bad(
        `line ${number}: expected ## or the columns #CHROM POS ID REF ALT QUAL FILTER INFO, with tabs between them`,
      )
  }
  throw bad(header.length === 0 ? 'is empty, expected VCF' : 'ends before its line #CHROM')
}

async function* parsed(lines: AsyncIterable<Line>, refuse: (line: number, why: string) => void): AsyncGenerator<Site> {
  for await (const { bytes, number } of lines) {
    if (bytes.length === 0 || (bytes.length === 1 && bytes[0] === 13)) continue
    const site = parseSite(bytes, number)
    if (typeof site === 'string') refuse(number, site)
    else yield site
  }
}

/** `breaksOff`: the rest cannot be read; the line that was begun is left out. */
async function* linesOf(
  blocks: AsyncIterable<Uint8Array>,
  breaksOff: (problem: FileProblem, line: number) => void,
): AsyncGenerator<Line> {
  let held: Buffer[] = []
  let length = 0
  let number = 1
  try {
    for await (const block of blocks) {
      for (let from = 0; from < block.length; ) {
        const end = block.indexOf(10, from)
        const part = Buffer.from(block.subarray(from, end < 0 ? block.length : end)) // a copy
        held.push(part)
        length += part.length
        if (length > mostBytes) throw new FileProblem(`a line of more than ${mostBytes} bytes, expected VCF`)
        from += part.length + 1
        if (end < 0) continue
        yield { bytes: held.length === 1 ? part : Buffer.concat(held), number }
        held = []
        length = 0
        number++
      }
    }
    if (length > 0) yield { bytes: Buffer.concat(held), number }
  } catch (error) {
    if (!(error instanceof FileProblem)) throw error
    breaksOff(error, number)
  }
}
