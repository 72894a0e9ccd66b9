import type { GpuFacts } from '../backends/backend.js'
import type { Device, Precision } from '../backends/registry.js'
import type { Output } from '../engine/outputs.js'
import { exitCodes, UserError } from '../errors.js'
import { type GivenSequences, givenRecords } from '../input/dna/given.js'
import { type ReadOptions, type RecordStream, readRecords } from '../input/dna/read.js'
import { inputFiles } from '../input/folder.js'
import { type GivenTexts, givenTexts, readTexts, type TextStream } from '../input/lines/read.js'
import type { GivenVariants } from '../input/vcf/given.js'
import type { Weights } from '../layers/params.js'
import { type Call, unclassified } from '../output/calls.js'
import { Cues } from '../output/subtitles.js'
import type { ModelSpec } from '../spec.js'
import type { TextTokenizer } from '../tokens/text.js'
import { dnaTokenizer, readsText } from '../tokens/tokenizer.js'
import { recordingsOf } from './audio/recordings.js'
import { AudioRun } from './audio/run.js'
import { Transcription } from './audio/transcribe.js'
import { callerOf, kindOf } from './callers.js'
import { classification, labelsOf, wantClasses } from './classify.js'
import { DnaRun } from './dna/run.js'
import { VariantRun, wantAlleles } from './dna/variants.js'
import { Doubts } from './doubts.js'
import { embedding, wantEmbedding } from './embed.js'
import type { GenerateSettings } from './generate/continuation.js'
import { dnaLanguage, dnaPrompts, textLanguage, textPrompts } from './generate/prompts.js'
import { checkWrites, GenerateRun } from './generate/run.js'
import { readableBy } from './readable.js'
import type {
  ClassifiedRow,
  ClassifyOptions,
  EmbeddedRow,
  EmbedOptions,
  GeneratedRow,
  GenerateOptions,
  Inputs,
  Place,
  RunOptions,
  ScoredRow,
  ScoreOptions,
  ScoreVariantsOptions,
  SpanOptions,
  TranscribeOptions,
  TranscriptLine,
  VariantRow,
} from './row-types.js'
import type { SpanRun } from './run.js'
import { Scores, TokenScores, wantLikelihoods } from './score.js'
import { TextRun } from './text/run.js'

/** The library's `classify`, `embed`, `transcribe`, `score`, `scoreVariants` and `generate`: what the commands write, row by row (docs/library.md). */

/** A model, and what runs it. */
export interface OpenedModel {
  spec: ModelSpec
  weights: Weights
  /** Of a model that reads text, and the ids that end one. */
  tokenizer: () => Promise<TextTokenizer>
  ends: () => Promise<number[]>
  device: Device
  gpu?: GpuFacts
  precision?: Precision
  threads: number
  chunk?: number
}

/** Errors, like those of the others: UserError with the exit code that the command ends with. */
export async function* classifyRows(
  model: OpenedModel,
  inputs: Inputs,
  options: ClassifyOptions,
): AsyncGenerator<ClassifiedRow> {
  const labels = labelsOf(model.spec)
  const kind = kindOf(options)
  const read = await withoutFolders(model, inputs, options)
  const run = await spanRun(model, read, wantClasses(model.spec), options)
  const caller = callerOf(kind, options.minScore ?? 0, run)
  const each = (values: Float64Array) => new Map(labels.map((label, i) => [label, values[i]]))
  const row = (call: Call): ClassifiedRow => ({
    ...placeOf(call),
    label: call.label === null ? unclassified : labels[call.label],
    score: call.score,
    probabilities: each(call.probabilities),
    ...(kind === 'event' || kind === 'pooled record' ? { windows: call.windows } : {}),
    ...(call.shares ? { shares: each(call.shares), nFraction: call.nFraction } : {}),
  })
  const doubts = new Doubts(model.spec, options.maxN)
  for await (const prediction of run.results())
    yield* caller.push(doubts.of(classification(prediction, model.spec), prediction)).map(row)
  yield* caller.end().map(row)
}

export async function* embedRows(
  model: OpenedModel,
  inputs: Inputs,
  { pool = 'mean', layer, bin, ...options }: EmbedOptions,
): AsyncGenerator<EmbeddedRow> {
  const several = pool === 'none' || bin !== undefined
  if (several && options.strand === 'both')
    throw new UserError(`pool 'none' and bin read one strand: strand '+' or '-'`, exitCodes.usage)
  if (bin !== undefined && options.window !== undefined)
    throw new UserError('bin is for records that are read whole: leave window out', exitCodes.usage)
  const strand = options.strand ?? (several ? '+' : undefined)
  const read = await withoutFolders(model, inputs, options)
  const run = await spanRun(model, read, wantEmbedding(pool, layer, bin)(model.spec), { ...options, strand })
  for await (const prediction of run.results())
    yield { ...placeOf(prediction.span), embedding: embedding(prediction), last: prediction.last }
}

export async function* transcribeLines(
  model: OpenedModel,
  inputs: Inputs,
  options: TranscribeOptions,
): AsyncGenerator<TranscriptLine> {
  const { beam } = options
  const recordings = recordingsOf(pathsOf(await withoutFolders(model, inputs, options)))
  const run = new Transcription(model, recordings, { ...audioOptions(model, options), beam })
  const cues = new Cues()
  for await (const { recording, words, until, last } of run.results())
    for (const line of [...cues.push(words, until), ...(last ? cues.end() : [])]) yield { path: recording.id, ...line }
}

export async function* scoreRows(
  model: OpenedModel,
  inputs: Inputs,
  { perToken = false, ...options }: ScoreOptions,
): AsyncGenerator<ScoredRow> {
  const { spec } = model
  const read = await withoutFolders(model, inputs, options)
  const run = await spanRun(model, read, wantLikelihoods(spec), options)
  const scores = new Scores()
  const tokenizer = readsText(spec) ? await model.tokenizer() : null
  const tokens = new TokenScores(tokenizer ? (id) => tokenizer.token(id) : dnaTokenizer(spec.input).letter)
  let each: NonNullable<ScoredRow['each']> = []
  for await (const prediction of run.results()) {
    if (perToken)
      for (const { position, strand, id, token, logP } of tokens.push(prediction))
        each.push({ position, strand, id, token, logProbability: logP })
    const scored = scores.push(prediction)
    if (!scored) continue
    const { tokens: predicted, logLikelihood, bits } = scored
    const perplexity = bits === null ? null : 2 ** bits
    yield {
      ...placeOf(scored),
      tokens: predicted,
      logLikelihood,
      bits,
      perplexity,
      ...(perToken ? { each } : {}),
    }
    each = []
  }
}

/** One row for each alternate allele of each variant. */
export async function* variantRows(
  model: OpenedModel,
  variants: string | GivenVariants,
  { reference, region, window, strand, ...options }: ScoreVariantsOptions,
): AsyncGenerator<VariantRow> {
  if (readsText(model.spec)) throw new UserError('variants are of DNA, but this model reads text', exitCodes.usage)
  const how = { ...common(model, options), window, strand, wanted: wantAlleles(model.spec) }
  const run = await VariantRun.open(model, { vcf: variants, reference, region }, how, readOptions(options))
  for await (const { site, logLikelihood: refLogLikelihood, alts } of run.results()) {
    const { chrom, position, id, ref } = site
    for (const [i, alt] of site.alts.entries()) {
      const { logLikelihood = null, ratio = null, distance = null } = alts[i] ?? {}
      const numbers = { altLogLikelihood: logLikelihood, logLikelihoodRatio: ratio, embeddingDistance: distance }
      yield { chrom, position, id, ref, alt, refLogLikelihood, ...numbers }
    }
  }
}

export async function* generateRows(
  model: OpenedModel,
  prompts: string | GivenSequences | GivenTexts,
  options: GenerateOptions,
): AsyncGenerator<GeneratedRow> {
  const { spec, weights } = model
  checkWrites(spec)
  const settings = settingsOf(options)
  const given = typeof prompts === 'string' ? [{ id: 'prompt', text: prompts, sequence: prompts }] : prompts
  const how = { ...common(model, {}), settings }
  let run: GenerateRun
  if (readsText(spec)) {
    const tokenizer = await model.tokenizer()
    const language = textLanguage(tokenizer, await model.ends())
    run = new GenerateRun({ spec, weights }, language, textPrompts(givenTexts(given as GivenTexts), tokenizer), how)
  } else {
    const tokenizer = dnaTokenizer(spec.input)
    const records = dnaPrompts(givenRecords(given as GivenSequences), tokenizer)
    run = new GenerateRun({ spec, weights }, dnaLanguage(tokenizer), records, how)
  }
  for await (const { record, text, ended } of run.results())
    yield { id: record.id, text, ...(ended ? { finish: ended.finish, tokens: ended.tokens } : {}) }
}

/** Errors: 2 for a number that is out of its range. */
function settingsOf(options: GenerateOptions): GenerateSettings {
  const { maxTokens = 128, temperature = 0, topK, topP = 1, repetitionPenalty = 1, stop = [], seed = 1 } = options
  const ranges = [
    ['maxTokens', maxTokens, 1, Number.MAX_SAFE_INTEGER],
    ['temperature', temperature, 0, 100],
    ['topK', topK ?? 1, 1, Number.MAX_SAFE_INTEGER],
    ['topP', topP, 0, 1],
    ['repetitionPenalty', repetitionPenalty, 0.01, 100],
    ['seed', seed, 0, 0xffffffff],
  ] as const
  for (const [name, value, least, most] of ranges)
    if (!(value >= least && value <= most))
      throw new UserError(`${name} is ${value}, expected a number from ${least} to ${most}`, exitCodes.usage)
  return { maxTokens, temperature, topK, topP, repetitionPenalty, stop: [stop].flat(), seed }
}

async function spanRun(model: OpenedModel, inputs: Inputs, wanted: Output, options: SpanOptions): Promise<SpanRun> {
  const { spec, weights } = model
  const { input } = spec
  const { window, stride, strand, minLength, maxLength } = options
  if (input.kind === 'log-mel') {
    const audio = { ...audioOptions(model, options), window, stride, wanted }
    return new AudioRun({ spec: { ...spec, input }, weights }, recordingsOf(pathsOf(inputs)), audio)
  }
  const how = { ...common(model, options), window, stride, minLength, maxLength, wanted }
  if (readsText(spec)) return new TextRun({ spec, weights }, await model.tokenizer(), textsFrom(inputs, options), how)
  return new DnaRun({ spec, weights }, recordsFrom(inputs, options), { ...how, strand })
}

const common = (
  { device, gpu, precision, threads, chunk }: OpenedModel,
  { onError, onWarning = () => {} }: RunOptions,
) => ({
  device,
  gpu,
  precision,
  threads,
  chunk,
  skip: onError === 'skip',
  note: onWarning,
})

const audioOptions = (model: OpenedModel, options: RunOptions) => {
  const { channel, offset, duration } = options
  return { ...common(model, options), channel, offset, duration }
}

const arePaths = (inputs: Inputs): inputs is string | string[] =>
  typeof inputs === 'string' || (Array.isArray(inputs) && inputs.length > 0 && typeof inputs[0] === 'string')

/** With the files that the model reads in the place of a folder. */
async function withoutFolders(
  model: OpenedModel,
  inputs: Inputs,
  { onWarning = () => {} }: RunOptions,
): Promise<Inputs> {
  if (!arePaths(inputs)) return inputs
  const files = await inputFiles([inputs].flat(), async () => readableBy(model.spec), onWarning)
  return files.map(({ path }) => path)
}

function pathsOf(inputs: Inputs): string[] {
  if (!arePaths(inputs)) throw new UserError('this model reads audio: give it paths of recordings', exitCodes.usage)
  return [inputs].flat()
}

function recordsFrom(inputs: Inputs, options: RunOptions): RecordStream {
  if (!arePaths(inputs)) return givenRecords(inputs as GivenSequences)
  return readRecords([inputs].flat(), readOptions(options))
}

function textsFrom(inputs: Inputs, options: RunOptions): TextStream {
  if (!arePaths(inputs)) return givenTexts(inputs as GivenTexts)
  return readTexts([inputs].flat(), readOptions(options))
}

const readOptions = ({ onError, onWarning }: RunOptions): ReadOptions => ({
  onError,
  report: ({ message }) => onWarning?.(message),
})

const placeOf = ({ record, start, end }: { record: { id: string }; start: number; end: number }): Place => ({
  id: record.id,
  start,
  end,
})
