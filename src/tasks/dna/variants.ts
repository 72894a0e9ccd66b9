import type { Output } from '../../engine/outputs.js'
import { Genome } from '../../input/dna/genome.js'
import type { ReadOptions } from '../../input/dna/read.js'
import type { RecordBatch } from '../../input/dna/records.js'
import { type GivenVariants, givenVcf } from '../../input/vcf/given.js'
import { openVcf, type Vcf } from '../../input/vcf/read.js'
import { overlaps, parseRegion, type Region } from '../../input/vcf/region.js'
import type { Weights } from '../../layers/params.js'
import type { ScoredSite } from '../../output/variants.js'
import { progressText } from '../../shell/progress.js'
import type { ModelSpec } from '../../spec.js'
import { embedding } from '../embed.js'
import type { Prediction } from '../predict.js'
import type { LeftOutCount, Run } from '../run.js'
import { Scores, wantLikelihoods } from '../score.js'
import { type AlleleWindow, alleleWindows, mismatch, scoredAlleles } from './alleles.js'
import { type DnaOptions, DnaRun } from './run.js'
import { WaitingSites } from './waiting.js'

/** Where there is no more to go by: what a model was trained on may be far longer, and takes as much longer. */
const longestDefault = 1024

/** Bases of a window, unless it is asked for another. */
const defaultWindow = ({ trained_length: trained = longestDefault }: ModelSpec): number =>
  Math.min(trained, longestDefault)

export interface VariantOptions extends DnaOptions {
  window: number
  /** Sites outside it are passed over. */
  region?: Region
}

/** Where variants are, which genome they are of, and in which part of it. */
export interface VariantFiles {
  vcf: string | GivenVariants
  /** A path. */
  reference: string
  region?: string
}

/** What is read of the window of an allele. Errors: 2 for a model that predicts no bases. */
export const wantAlleles = (spec: ModelSpec): Output => ({ ...wantLikelihoods(spec), embedding: true })

/** The alleles of a VCF through a model, each in its window. */
export class VariantRun implements Run<ScoredSite> {
  private readonly run: DnaRun
  private readonly waiting = new WaitingSites()
  private sites = 0
  private bases = 0
  private unspelt = 0
  private tooLong = 0

  /** `read`: how the VCF is. Errors: 65, 66 and 74 for what it opens, 2 for a region that is none. */
  static async open(
    model: { spec: ModelSpec; weights: Weights },
    { vcf, reference, region }: VariantFiles,
    options: DnaOptions,
    read: ReadOptions,
  ): Promise<VariantRun> {
    const { window = defaultWindow(model.spec) } = options
    const genome = await Genome.open(reference)
    const within = region === undefined ? undefined : parseRegion(region, genome)
    const variants = typeof vcf === 'string' ? await openVcf(vcf, read) : givenVcf(vcf, read)
    return new VariantRun(model, variants, genome, { ...options, window, region: within })
  }

  constructor(
    model: { spec: ModelSpec; weights: Weights },
    readonly vcf: Vcf,
    private readonly genome: Genome,
    private readonly options: VariantOptions,
  ) {
    const counts = { records: 0, bases: 0, skippedRecords: 0, skippedFiles: 0 }
    const batches = () => batchesOf(this.windows())
    this.run = new DnaRun(model, { counts, [Symbol.asyncIterator]: batches }, options)
  }

  /** Bases around a variant. */
  get window(): number {
    return this.options.window
  }

  async *results(): AsyncGenerator<ScoredSite> {
    const { waiting } = this
    const predictions = this.run.results()
    const scores = new Scores()
    let next: Promise<IteratorResult<Prediction>> | null = null
    let over = false
    try {
      while (true) {
        for (const site of waiting.ready()) {
          this.sites++
          yield site
        }
        if (over) return
        next ??= predictions.next()
        const settled = await Promise.race([next, waiting.full()])
        if (!settled) continue
        next = null
        if (settled.done) over = true
        else this.take(scores.push(settled.value))
      }
    } finally {
      waiting.close()
      const closed = predictions.return(undefined)
      // The next variant may come through a pipe, in hours.
      if (next === null) await closed
      else closed.catch(() => {})
    }
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

  /** The score of the window that is next, if a prediction has completed it. */
  private take(score: ReturnType<Scores['push']>): void {
    if (!score) return
    this.bases += score.end - score.start
    const site = this.waiting.first
    const allele = site.missing.shift()!
    const { logLikelihood } = score
    const vector = embedding(score)
    if (allele === 0) {
      site.logLikelihood = logLikelihood
      site.embedding = vector
    } else {
      const ratio = logLikelihood - site.logLikelihood!
      site.alts[allele - 1] = { logLikelihood, ratio, distance: euclidean(site.embedding!, vector) }
    }
  }

  /** Of the alleles, in order; null: what waits for those before is so much that they are to be computed. */
  private async *windows(): AsyncGenerator<AlleleWindow | null> {
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
      const at = { genome, window, file: vcf.file }
      const windows = alleles.length > 0 ? await alleleWindows(site, alleles, at) : []
      const full = waiting.push({ site, logLikelihood: null, alts: site.alts.map(() => null), missing: alleles })
      yield* windows
      if (!full) continue
      yield null
      if (!(await waiting.room())) return
    }
  }
}

const euclidean = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0))

/** Each window is a record of its own; those before a null are not to wait for others. */
async function* batchesOf(windows: AsyncIterable<AlleleWindow | null>): AsyncGenerator<RecordBatch> {
  let held: AlleleWindow | null = null
  try {
    for await (const window of windows) {
      if (held) yield batchOf(held, window === null)
      held = window
    }
  } catch (error) {
    if (held) yield batchOf(held)
    throw error
  }
  if (held) yield batchOf(held)
}

function batchOf({ record, codes }: AlleleWindow, urgent = false): RecordBatch {
  const whole = { offset: 0, start: 0, end: codes.length, first: true, last: true, aborted: false }
  return { codes, pieces: [{ record: { ...record, urgent }, ...whole }] }
}
