import { exitCodes, UserError } from '../errors.js'
import type { TableFormat } from './formats.js'
import { openRows } from './formats.js'
import type { Output } from './output.js'
import { type RowWriter, significant } from './rows.js'

/** A line of a VCF. */
export interface VariantSite {
  /** All of it, without the line feed. */
  bytes: Buffer
  chrom: string
  /** From 1. */
  position: number
  id: string
  ref: string
  alts: string[]
  /** Where its INFO stands in `bytes`. */
  info: { start: number; end: number }
}

/** A site and how likely its alleles are. */
export interface ScoredSite {
  site: VariantSite
  /** Nats, of the windows with REF and with each ALT; null: not scored. */
  logLikelihoods: (number | null)[]
}

/** That of an ALT less that of REF. */
const ratio = (logLikelihoods: ScoredSite['logLikelihoods'], allele: number) => {
  const [ref, alt] = [logLikelihoods[0], logLikelihoods[allele]]
  return ref === null || alt === null ? null : alt - ref
}

const columns = [
  'chrom', 'pos', 'id', 'ref', 'alt', 'ref_log_likelihood', 'alt_log_likelihood', 'log_likelihood_ratio',
] // biome-ignore format: one list

/** One row for each ALT. */
export async function variantRows(format: TableFormat, output: Output): Promise<RowWriter<ScoredSite>> {
  const table = await openRows(format, output, columns)
  return {
    async write({ site, logLikelihoods }) {
      const { chrom, position, id, ref, alts } = site
      for (const [i, alt] of alts.entries()) {
        const numbers = [logLikelihoods[0], logLikelihoods[i + 1], ratio(logLikelihoods, i + 1)]
        await table.write([chrom, position, id, ref, alt, ...numbers])
      }
    },
    end: () => table.end(),
  }
}

/** What the header says of the run. */
export interface VcfNotes {
  version: string
  model: string
  window: number
}

const [likelihoods, ratios] = ['LW_LL', 'LW_LLR']
const lineFeed = Buffer.from('\n')

/** Errors: 65 for a VCF that has one of the keys already. */
export function refuseScored({ file, header }: { file: string; header: readonly Buffer[] }): void {
  const own = new RegExp(`^##INFO=<ID=(${likelihoods}|${ratios}),`)
  if (!header.some((line) => own.test(line.toString('latin1', 0, 64)))) return
  const cure = `bcftools annotate -x INFO/${likelihoods},INFO/${ratios} removes them`
  throw new UserError(`${file}: has ${likelihoods} or ${ratios} in its header already; ${cure}`, exitCodes.data)
}

/** The VCF with two more keys in INFO; all else stays byte for byte. `header`: of the VCF that was read. */
export function vcfLines(output: Output, header: readonly Buffer[], notes: VcfNotes): RowWriter<ScoredSite> {
  const last = header[header.length - 1]
  const end = last.at(-1) === 13 ? '\r\n' : '\n'
  let before: Buffer | null = Buffer.concat([
    ...header.slice(0, -1).flatMap((line) => [line, lineFeed]),
    Buffer.from(
      headerLines(notes)
        .map((line) => line + end)
        .join(''),
    ),
    last,
    lineFeed,
  ])
  const take = () => {
    const bytes = before ?? Buffer.alloc(0)
    before = null
    return bytes
  }
  return {
    write: ({ site, logLikelihoods }) =>
      output.write(Buffer.concat([take(), ...annotated(site, logLikelihoods), lineFeed])),
    end: () => output.write(take()),
  }
}

const headerLines = ({ version, model, window }: VcfNotes) => [
  `##longwave_score=longwave ${version}, model ${model.replace(/[\r\n]/g, ' ')}, windows of ${window} bases`,
  `##INFO=<ID=${likelihoods},Number=R,Type=Float,Description="Log-likelihood in nats of the window with REF, then with each ALT">`,
  `##INFO=<ID=${ratios},Number=A,Type=Float,Description="Log-likelihood ratio in nats, that with ALT less that with REF: positive where the model takes ALT to be likelier, negative where REF">`,
]

function annotated({ bytes, info, alts }: VariantSite, all: ScoredSite['logLikelihoods']): Buffer[] {
  if (all[0] === null) return [bytes]
  const list = (numbers: (number | null)[]) => numbers.map((x) => (x === null ? '.' : significant(x))).join(',')
  const added = `${likelihoods}=${list(all)};${ratios}=${list(alts.map((_, i) => ratio(all, i + 1)))}`
  const [before, old] = [bytes.subarray(0, info.start), bytes.subarray(info.start, info.end)]
  const kept = old.length === 0 || (old.length === 1 && old[0] === 46) ? [] : [old, Buffer.from(';')]
  return [before, ...kept, Buffer.from(added), bytes.subarray(info.end)]
}
