import { exitCodes, UserError } from '../errors.js'
import type { Site } from '../text/vcf.js'
import type { TableFormat } from './formats.js'
import { openRows } from './formats.js'
import type { Output } from './output.js'
import { type RowWriter, significant } from './rows.js'

/** What is said of an ALT. */
export interface AlleleScore {
  /** Nats, of the window with it. */
  logLikelihood: number
  /** That less the one of REF. */
  ratio: number
  /** Euclidean, between the embeddings of the window with REF and the one with it. */
  distance: number
}

/** A site and what is said of its alleles. */
export interface ScoredSite {
  site: Site
  /** Nats, of the window with REF; null where no ALT is scored. */
  logLikelihood: number | null
  /** Of each ALT; null: it is not scored. */
  alts: (AlleleScore | null)[]
}

const columns = [
  'chrom', 'pos', 'id', 'ref', 'alt', 'ref_log_likelihood', 'alt_log_likelihood', 'log_likelihood_ratio', 'embedding_distance',
] // biome-ignore format: one list

/** One row for each ALT. */
export async function variantRows(format: TableFormat, output: Output): Promise<RowWriter<ScoredSite>> {
  const table = await openRows(format, output, columns)
  return {
    async write({ site, logLikelihood: ofRef, alts }) {
      const { chrom, position, id, ref } = site
      for (const [i, alt] of site.alts.entries()) {
        const { logLikelihood = null, ratio = null, distance = null } = alts[i] ?? {}
        await table.write([chrom, position, id, ref, alt, ofRef, logLikelihood, ratio, distance])
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

const keys = { likelihoods: 'LW_LL', ratios: 'LW_LLR', distances: 'LW_DIST' }
const lineFeed = Buffer.from('\n')

/** Errors: 65 for a VCF that has some of the keys already. */
export function refuseScored({ file, header }: { file: string; header: readonly Buffer[] }): void {
  const own = new RegExp(`^##INFO=<ID=(${Object.values(keys).join('|')}),`)
  const found = header.flatMap((line) => own.exec(line.toString('latin1', 0, 64))?.[1] ?? [])
  if (found.length === 0) return
  const cure = `bcftools annotate -x ${found.map((key) => `INFO/${key}`).join(',')} removes them`
  throw new UserError(`${file}: has ${found.join(', ')} in its header already; ${cure}`, exitCodes.data)
}

/** The VCF with three more keys in INFO; all else stays byte for byte. `header`: of the VCF that was read. */
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
    write: (scored) => output.write(Buffer.concat([take(), ...annotated(scored), lineFeed])),
    end: () => output.write(take()),
  }
}

const headerLines = ({ version, model, window }: VcfNotes) => [
  `##longwave_score=longwave ${version}, model ${model.replace(/[\r\n]/g, ' ')}, windows of ${window} bases`,
  `##INFO=<ID=${keys.likelihoods},Number=R,Type=Float,Description="Log-likelihood in nats of the window with REF, then with each ALT">`,
  `##INFO=<ID=${keys.ratios},Number=A,Type=Float,Description="Log-likelihood ratio in nats, that with ALT less that with REF: positive where the model takes ALT to be likelier, negative where REF">`,
  `##INFO=<ID=${keys.distances},Number=A,Type=Float,Description="Euclidean distance between the embeddings of the window with REF and of that with ALT, each the mean of the last hidden states over the window: 0 where the model sees no difference">`,
]

function annotated({ site: { bytes, info }, logLikelihood, alts }: ScoredSite): Buffer[] {
  if (logLikelihood === null) return [bytes]
  const list = (numbers: (number | undefined)[]) =>
    numbers.map((x) => (x === undefined ? '.' : significant(x))).join(',')
  const added = [
    `${keys.likelihoods}=${list([logLikelihood, ...alts.map((alt) => alt?.logLikelihood)])}`,
    `${keys.ratios}=${list(alts.map((alt) => alt?.ratio))}`,
    `${keys.distances}=${list(alts.map((alt) => alt?.distance))}`,
  ]
  const [before, old] = [bytes.subarray(0, info.start), bytes.subarray(info.start, info.end)]
  const kept = old.length === 0 || (old.length === 1 && old[0] === 46) ? [] : [old, Buffer.from(';')]
  return [before, ...kept, Buffer.from(added.join(';')), bytes.subarray(info.end)]
}
