import type { Genome } from '../../input/dna/genome.js'
import type { RecordBatch } from '../../input/dna/records.js'
import type { Vcf } from '../../input/vcf/read.js'
import { overlaps, type Region } from '../../input/vcf/region.js'
import type { Site } from '../../input/vcf/site.js'
import type { Weights } from '../../layers/params.js'
import type { ScoredSite } from '../../output/variants.js'
import { progressText } from '../../shell/progress.js'
import type { ModelSpec } from '../../spec.js'
import type { LeftOutCount, Run } from '../run.js'
import { Scores } from '../score.js'
import { alleleWindows, mismatch, scoredAlleles } from './alleles.js'
import { type DnaOptions, DnaRun } from './run.js'

/** Where there is no more to go by: what a model was trained on may be far longer, and takes as much longer. */
const longestDefault = 1024

/** Bases of a window, unless it is asked for another. */
export const defaultWindow = ({ trained_length: trained = longestDefault }: ModelSpec): number =>
  Math.min(trained, longestDefault)

export interface VariantOptions extends DnaOptions {
  window: number
  /** Sites outside it are passed over. */
  region?: Region
}

/** A site on its way: what its alleles are still to be given. */
interface Waiting {
  site: Site
  logLikelihoods: (number | null)[]
  alleles: number[]
}

/** The alleles of a VCF through a model, each in its window. */
export class VariantRun implements Run<ScoredSite> {
  private readonly run: DnaRun
  /** In the order of the file, those without scores between the others. */
  private readonly waiting: Waiting[] = []
  private sites = 0
  private bases = 0
  private unspelt = 0
  private tooLong = 0

  constructor(
    model: { spec: ModelSpec; weights: Weights },
    private readonly vcf: Vcf,
    private readonly genome: Genome,
    private readonly options: VariantOptions,
  ) {
    const counts = { records: 0, bases: 0, skippedRecords: 0, skippedFiles: 0 }
    // Each is one window of its own.
    this.run = new DnaRun(model, { counts, [Symbol.asyncIterator]: () => this.windows() }, options)
  }

  async *results(): AsyncGenerator<ScoredSite> {
    const { waiting } = this
    const scores = new Scores()
    for await (const prediction of this.run.results()) {
      const score = scores.push(prediction)
      if (!score) continue
      this.bases += score.end - score.start
      yield* this.ready()
      const [{ logLikelihoods, alleles }] = waiting
      logLikelihoods[alleles.shift()!] = score.logLikelihood
      yield* this.ready()
    }
    yield* this.ready()
  }

  dryRun(): Promise<string> {
    return this.run.dryRun()
  }

  progress(seconds: number, over = false): string {
    const fraction = over ? 1 : this.vcf.share.value
    return progressText({ records: this.sites, item: 'variant', tokens: this.bases, unit: 'bp', fraction, seconds })
  }

  leftOut(): LeftOutCount[] {
    const { skippedRecords, skippedFiles } = this.vcf.counts
    return [
      [this.unspelt, 'alleles that are not spelt out'],
      [this.tooLong, 'alleles too long for the window'],
      [skippedRecords, 'bad lines'],
      [skippedFiles, 'bad files'],
    ]
  }

  /** The first sites, as far as nothing of them is missing. */
  private *ready(): Generator<ScoredSite> {
    const missing = this.waiting.findIndex(({ alleles }) => alleles.length > 0)
    for (const { site, logLikelihoods } of this.waiting.splice(0, missing < 0 ? this.waiting.length : missing)) {
      this.sites++
      yield { site, logLikelihoods }
    }
  }

  private async *windows(): AsyncGenerator<RecordBatch> {
    const { vcf, genome, options, waiting } = this
    const { window, region } = options
    for await (const site of vcf.sites) {
      if (region && !overlaps(region, site)) continue
      const { alleles, tooLong } = scoredAlleles(site, window)
      const wrong = alleles.length > 0 && (await mismatch(site, genome))
      if (wrong) {
        vcf.refuse(site, wrong)
        continue
      }
      this.tooLong += tooLong
      this.unspelt += site.alts.length - tooLong - Math.max(0, alleles.length - 1)
      waiting.push({ site, logLikelihoods: [null, ...site.alts.map(() => null)], alleles })
      for (const { record, codes } of alleles.length > 0
        ? await alleleWindows(site, alleles, { genome, window, file: vcf.file })
        : []) {
        const piece = { record, offset: 0, start: 0, end: codes.length, first: true, last: true, aborted: false }
        yield { codes, pieces: [piece] }
      }
    }
  }
}
