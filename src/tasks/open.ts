import { basename, join } from 'node:path'
import { noteMissing } from '../backends/cpu/onnxruntime.js'
import { type Device, type Picked, type Precision, pickDevice } from '../backends/registry.js'
import { modelFiles, summarizeModel } from '../checkpoints/catalogue.js'
import { type Checkpoint, openCheckpoint, readSpec } from '../checkpoints/open.js'
import { readEnds, readTokenizer } from '../checkpoints/tokenizer-files.js'
import type { Output } from '../engine/outputs.js'
import { exitCodes, UserError } from '../errors.js'
import { isPipe } from '../input/bytes.js'
import { givenRecords } from '../input/dna/given.js'
import { largestFile } from '../input/dna/longest.js'
import { type ReadOptions, readRecords } from '../input/dna/read.js'
import { type InputFile, inputFiles, type Readable } from '../input/folder.js'
import { givenTexts, readTexts } from '../input/lines/read.js'
import { inputPaths } from '../input/paths.js'
import { readSeries, type SeriesTable } from '../input/series/table.js'
import type { Weights } from '../layers/params.js'
import { type Named, refuseOverlap } from '../output/overlap.js'
import { isStandardOutput } from '../output/sink.js'
import { availableThreads } from '../runtime/threads.js'
import { foundModel } from '../shell/found-model.js'
import type { ProgressFlags } from '../shell/progress.js'
import type { ModelSpec } from '../spec.js'
import type { TextTokenizer } from '../tokens/text.js'
import { dnaTokenizer, readsText } from '../tokens/tokenizer.js'
import type { Transcription } from './audio/transcribe.js'
import { DnaRun, type Strand } from './dna/run.js'
import type { VariantFiles, VariantRun } from './dna/variants.js'
import type { ForecastOptions } from './forecast/run.js'
import { type Forecaster, forecaster } from './forecast/scale.js'
import type { GenerateSettings } from './generate/continuation.js'
import { dnaLanguage, dnaPrompts, textLanguage, textPrompts } from './generate/prompts.js'
import { checkWrites, GenerateRun } from './generate/run.js'
import { readableBy } from './readable.js'
import { type Identity, inputIdentity, modelDigest, ResumeFolder } from './resume/folder.js'
import type { SpanRun } from './run.js'
import type { SequenceOptions } from './sequence-run.js'
import { TextRun } from './text/run.js'

/** Flags of the commands that run a model, as oclif hands them over. */
export interface RunFlags extends ProgressFlags {
  model?: string
  device: 'auto' | Device
  precision: Precision
  threads?: number
  chunk?: number
  'max-memory'?: number
  'tmp-dir'?: string
  spool?: 'float32' | 'float16'
  'on-error': 'fail' | 'skip'
  'infile-list'?: string
  verbose?: boolean
  resume?: boolean
  output?: string
  'output-dir'?: string
}

/** Flags of the commands that read DNA. */
export interface DnaFlags extends RunFlags {
  window?: number
  stride?: number
  'per-record'?: boolean
  strand?: Strand
  'min-length'?: number
  'max-length'?: number
}

/** Flags of the commands that read audio. */
export interface AudioFlags extends RunFlags {
  window?: number
  stride?: number
  channel?: number
  offset?: number
  duration?: number
}

/** What a command reads and writes besides its model. */
export interface CommandFiles {
  /** Arguments; undefined or none: --infile-list or standard input; null: nothing is read. */
  inputs: string[] | undefined | null
  /** A folder among them stands for the files in it that the model reads. */
  folders: boolean
  /** Who runs it, where it can be resumed. */
  command?: { name: string; version: string }
  /** Known beforehand, or by what is read. Errors of the function are those of the command. */
  outputs: readonly Named[] | ((files: readonly InputFile[]) => readonly Named[])
  /** Bytes of memory that the writer takes, where it is more than others take. */
  writerBytes?: number
}

interface Opened {
  model: Checkpoint
  files: InputFile[]
  paths: string[]
  picked: Picked
  resume?: ResumeFolder
  writerBytes?: number
}

export interface OpenedRun {
  spec: ModelSpec
  /** Of a model that reads text. */
  tokenizer?: TextTokenizer
  run: SpanRun
  /** The inputs; no more than one is standard input. */
  paths: string[]
  /** Where the run is kept until its output is there. */
  resume?: ResumeFolder
}

/**
 * Opens the model and the inputs that the flags name: DNA, or what else the model reads. `want` says what is wanted of the
 * model, or throws if the model lacks it. `strand`: of DNA, where the flags name none; absent: as the model says.
 */
export async function openRun(
  flags: DnaFlags & AudioFlags,
  files: CommandFiles,
  want: (spec: ModelSpec) => Output,
  note: (line: string) => void,
  strand?: Strand,
): Promise<OpenedRun> {
  const opened = await open(flags, files, note)
  const { spec, weights } = opened.model
  const { paths, resume } = opened
  const { input } = spec
  const wanted = want(spec)
  if (input.kind === 'values')
    throw new UserError('this model reads series of numbers: longwave forecast', exitCodes.usage)
  if (readsText(spec)) {
    refuse(flags, ['channel', 'offset', 'duration'], 'is for audio, but this model reads text')
    refuse(flags, ['strand'], 'is for DNA, but this model reads text')
    const tokenizer = await readTokenizer(opened.model.folder, spec)
    const texts = readTexts(paths, readOptions(flags, note))
    const run = new TextRun(opened.model, tokenizer, texts, sequenceOptions(opened, flags, wanted, note))
    return { spec, tokenizer, run, paths, resume }
  }
  if (input.kind !== 'log-mel') {
    refuse(flags, ['channel', 'offset', 'duration'], 'is for audio, but this model reads DNA')
    const records = readRecords(paths, readOptions(flags, note))
    const options = { ...sequenceOptions(opened, flags, wanted, note), longest: largestFile(paths) }
    const run = new DnaRun(opened.model, records, { ...options, strand: flags.strand ?? strand })
    return { spec, run, paths, resume }
  }
  refuse(flags, ['strand', 'min-length', 'max-length'], 'is for DNA, but this model reads audio')
  // Not above: whoever reads DNA need not load what reads audio, 56 modules.
  const [{ AudioRun }, { recordingsOf }] = await Promise.all([
    import('./audio/run.js'),
    import('./audio/recordings.js'),
  ])
  const options = { ...audioOptions(flags, opened, note), window: flags.window, stride: flags.stride, wanted }
  return { spec, run: new AudioRun({ spec: { ...spec, input }, weights }, recordingsOf(paths), options), paths, resume }
}

/** Opens a model that predicts bases, the variants of a VCF and the genome that they are of. */
export async function openVariants(
  flags: DnaFlags & VariantFiles & { vcf: string },
  files: Pick<CommandFiles, 'command' | 'outputs'>,
  note: (line: string) => void,
): Promise<{ run: VariantRun; resume?: ResumeFolder }> {
  const { vcf, reference } = flags
  const opened = await open(flags, { ...files, inputs: [vcf, reference], folders: false }, note)
  const { model, resume } = opened
  if (readsText(model.spec)) refuse(flags, ['vcf'], 'is for DNA, but this model reads text')
  const { VariantRun, wantAlleles } = await import('./dna/variants.js')
  const options = { ...sequenceOptions(opened, flags, wantAlleles(model.spec), note), strand: flags.strand }
  return { run: await VariantRun.open(model, flags, options, readOptions(flags, note)), resume }
}

/** Opens a model that transcribes, and the recordings that the flags name. */
export async function openTranscription(
  flags: AudioFlags & { beam?: number },
  files: CommandFiles,
  note: (line: string) => void,
): Promise<{ files: InputFile[]; run: Transcription; resume?: ResumeFolder }> {
  const opened = await open(flags, files, note)
  const { model, paths } = opened
  const [{ Transcription, transcriber }, { recordingsOf }] = await Promise.all([
    import('./audio/transcribe.js'),
    import('./audio/recordings.js'),
  ])
  transcriber(model.spec)
  const options = { ...audioOptions(flags, opened, note), beam: flags.beam }
  return { files: opened.files, run: new Transcription(model, recordingsOf(paths), options), resume: opened.resume }
}

/** Opens a model that forecasts, and the table of series that the flags name. */
export async function openForecast(
  flags: RunFlags & { horizon?: number; season?: number; time?: string; column?: string[] },
  files: CommandFiles,
  note: (line: string) => void,
): Promise<{ model: { spec: Forecaster; weights: Weights }; table: SeriesTable; options: ForecastOptions }> {
  const { model, picked, paths } = await open(flags, files, note)
  const spec = forecaster(model.spec)
  const table = await readSeries(paths[0], { time: flags.time, series: flags.column })
  const { horizon, season } = flags
  return { model: { ...model, spec }, table, options: { ...runOptions(flags, picked, note), horizon, season } }
}

/**
 * Opens a model that writes, and its prompts: one that is given, or the lines (of DNA also the records) of a file or of standard input.
 */
export async function openGeneration(
  flags: RunFlags & { prompt?: string; 'prompt-file'?: string },
  settings: GenerateSettings,
  outputs: readonly Named[],
  note: (line: string) => void,
): Promise<{ spec: ModelSpec; run: GenerateRun }> {
  const { prompt, 'prompt-file': file } = flags
  const inputs = prompt !== undefined ? null : file === undefined ? undefined : [file]
  const { model, paths, picked } = await open(flags, { inputs, folders: false, outputs }, note)
  const { spec, folder, config } = model
  checkWrites(spec)
  const options = { ...runOptions(flags, picked, note), settings }
  const reading = readOptions(flags, note)
  const given = (text: string) => ({ id: 'prompt', text, sequence: text })
  if (readsText(spec)) {
    const tokenizer = await readTokenizer(folder, spec)
    const language = textLanguage(tokenizer, await readEnds(folder, config, tokenizer))
    const texts = prompt === undefined ? readTexts(paths, reading) : givenTexts([given(prompt)])
    return { spec, run: new GenerateRun(model, language, textPrompts(texts, tokenizer), options) }
  }
  const tokenizer = dnaTokenizer(spec.input)
  const records = prompt === undefined ? readRecords(paths, { ...reading, lines: true }) : givenRecords([given(prompt)])
  return { spec, run: new GenerateRun(model, dnaLanguage(tokenizer), dnaPrompts(records, tokenizer), options) }
}

/** Whether the model in a folder transcribes. */
export async function transcribes(folder: string): Promise<boolean> {
  const { spec } = await summarizeModel(folder)
  return spec?.head?.kind === 'ctc'
}

/** Errors: 2 for an output that is an input or another output, before the model or any data is read. */
async function open(
  flags: DnaFlags,
  { inputs, folders, command, outputs, writerBytes }: CommandFiles,
  note: (line: string) => void,
): Promise<Opened> {
  if (flags.stride !== undefined && flags.window === undefined) {
    throw new UserError('--stride needs --window', exitCodes.usage)
  }
  const resumePath = flags.resume ? resumePathOf(flags) : undefined
  const folder = await foundModel(flags.model, flags, note)
  const list = flags['infile-list']
  const given = inputs === null ? [] : await inputPaths(inputs, list)
  const files = folders ? await inputFiles(given, () => readableOf(folder), note) : given.map(asItIs)
  const paths = files.map(({ path }) => path)
  await refuseOverlap(typeof outputs === 'function' ? outputs(files) : outputs, [
    ...paths.map((path) => ({ role: 'the input', path })),
    ...(list === undefined ? [] : [{ role: '--infile-list', path: list }]),
    ...(await modelFiles(folder)),
  ])
  const picking = pickDevice(flags.device, flags)
  picking.catch(() => {}) // what is wrong with the model is said first
  const model = await openCheckpoint(folder)
  // What whoever uses it must know, in the words of its card.
  if (typeof model.config.notice === 'string') note(model.config.notice)
  const resume =
    resumePath === undefined
      ? undefined
      : await ResumeFolder.open(resumePath, await identityOf(command!, flags, model, (await picking).device, paths))
  return { model, files, paths, picked: await picking, resume, writerBytes }
}

/** The folder beside the output. Errors: 2 where there is no output that stays. */
function resumePathOf({ output = '-', 'output-dir': folder }: RunFlags): string {
  if (folder !== undefined) return join(folder, '.resume')
  if (isStandardOutput(output)) throw new UserError('--resume needs a file for the output: -o FILE', exitCodes.usage)
  return `${output}.resume`
}

/** Flags that a run may be gone on with otherwise: none of them decides about the output. */
const free = ['resume', 'force', 'threads', 'max-memory', 'tmp-dir', 'dry-run', 'progress', 'quiet', 'verbose']

async function identityOf(
  command: { name: string; version: string },
  flags: object,
  model: Opened['model'],
  device: Device,
  paths: string[],
): Promise<Identity> {
  const { name, version } = command
  const deciding = Object.entries(flags).filter(([name, value]) => !free.includes(name) && value !== undefined)
  const inputs = []
  for (const path of paths) inputs.push(await inputIdentity(path))
  return { version, command: name, flags: Object.fromEntries(deciding), device, model: modelDigest(model), inputs }
}

const asItIs = (path: string): InputFile => ({ path, name: basename(path) })

/** What the model in a folder reads. */
const readableOf = async (folder: string): Promise<Readable> => readableBy(await readSpec(folder))

const readOptions = (flags: RunFlags, note: (line: string) => void): ReadOptions => ({
  onError: flags['on-error'],
  report: ({ message }) => note(message),
})

function sequenceOptions(
  { model, paths, picked, resume, writerBytes }: Opened,
  flags: DnaFlags,
  wanted: Output,
  note: (line: string) => void,
): SequenceOptions {
  const { window, stride } = flags
  for (const [flag, tokens] of Object.entries({ window, stride })) {
    if (tokens === undefined || Number.isInteger(tokens)) continue
    const unit = readsText(model.spec) ? 'tokens' : 'bases'
    throw new UserError(`--${flag} ${tokens}: expected a whole number of ${unit}`, exitCodes.usage)
  }
  return {
    ...runOptions(flags, picked, note),
    besides: writerBytes,
    resume,
    window,
    stride,
    perRecord: flags['per-record'],
    minLength: flags['min-length'],
    maxLength: flags['max-length'],
    wanted,
    pipe: paths.some(isPipe),
  }
}

const audioOptions = (flags: AudioFlags, { picked, resume, writerBytes }: Opened, note: (line: string) => void) => ({
  ...runOptions(flags, picked, note),
  besides: writerBytes,
  resume,
  channel: flags.channel,
  offset: flags.offset,
  duration: flags.duration,
})

function runOptions(flags: RunFlags, { device, gpu, why }: Picked, note: (line: string) => void) {
  if (why) note(`device ${device} (${why})`)
  if (device === 'cpu') noteMissing(note)
  return {
    device,
    gpu,
    precision: flags.precision,
    threads: flags.threads ?? availableThreads(),
    chunk: flags.chunk,
    maxMemory: flags['max-memory'],
    tmpDir: flags['tmp-dir'],
    halfSpool: flags.spool === 'float16',
    skip: flags['on-error'] === 'skip',
    note,
    detail: flags.verbose ? note : undefined,
  }
}

function refuse<Flags extends object>(flags: Flags, names: (keyof Flags & string)[], why: string): void {
  const given = names.find((name) => flags[name] !== undefined)
  if (given !== undefined) throw new UserError(`--${given} ${why}`, exitCodes.usage)
}
