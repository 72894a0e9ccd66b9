import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type { OptionFlag } from '@oclif/core/interfaces'
import { defaultDevice, deviceNames, precisions } from '../backends/registry.js'
import { exitCodes, UserError } from '../errors.js'
import { formatBySuffix } from '../output/suffix.js'
import { availableThreads } from '../runtime/threads.js'
import { parseSize } from '../text/size.js'

interface IntegerOptions {
  description: string
  min: number
  max?: number
  char?: 't'
  default?: number
  env?: string
}

/** A whole number, e.g. `--chunk 4096`; anything else is a usage error that says what was expected. */
export function integer(options: IntegerOptions & { default: number }): OptionFlag<number>
export function integer(options: IntegerOptions): OptionFlag<number | undefined>
export function integer({ min, max = Number.MAX_SAFE_INTEGER, ...options }: IntegerOptions) {
  return Flags.custom<number>({ ...options, helpValue: 'N', parse: async (text) => wholeNumber(text, min, max) })()
}

/** Some of them, with commas between: `--rows 4096,65536`. */
export const integers = ({ min, max, description }: IntegerOptions & { max: number }) =>
  Flags.custom<number[]>({
    description,
    helpValue: 'N,N',
    parse: async (text) => text.split(',').map((one) => wholeNumber(one, min, max)),
  })()

export function wholeNumber(text: string, min: number, max: number): number {
  const value = Number(text)
  if (/^[+-]?\d+$/.test(text) && value >= min && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  throw new UserError(`expected a whole number ${range}, got '${text}'`, exitCodes.usage)
}

/** Bytes, e.g. `--max-memory 512M`. */
export function size(options: { description: string; default: number }): OptionFlag<number>
export function size(options: { description: string }): OptionFlag<number | undefined>
export function size(options: { description: string; default?: number }) {
  return Flags.custom<number>({
    ...options,
    helpValue: 'SIZE',
    parse: async (text) => {
      const bytes = parseSize(text)
      if (bytes !== null && bytes > 0) return bytes
      throw new UserError(`expected a size such as 512M or 2G, got '${text}'`, exitCodes.usage)
    },
  })()
}

interface NumberOptions {
  description: string
  min: number
  max: number
  default?: number
}

/** A number, e.g. `--min-score 0.5`. */
export function number(options: NumberOptions & { default: number }): OptionFlag<number>
export function number(options: NumberOptions): OptionFlag<number | undefined>
export function number({ min, max, ...options }: NumberOptions) {
  return Flags.custom<number>({
    ...options,
    helpValue: 'X',
    parse: async (text) => realNumber(text, min, max),
  })()
}

export function realNumber(text: string, min: number, max: number): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (value >= min && value <= max) return value
  throw new UserError(`expected a number from ${min} to ${max}, got '${text}'`, exitCodes.usage)
}

/**
 * Input files: `static args = { inputs }`. Without ignoreStdin oclif would swallow the first bytes of a piped FASTA.
 */
export const inputs = Args.string({
  description: "input files; '-' or nothing: standard input",
  multiple: true,
  ignoreStdin: true,
})

/** Models on the hub: `static args = { models: hubModels }`. */
export const hubModels = Args.string({
  description: 'ORG/NAME or ORG/NAME@REVISION: a branch, a tag or a commit',
  multiple: true,
  required: true,
  ignoreStdin: true,
})

const model = {
  char: 'm',
  helpValue: 'NAME|FOLDER|ORG/NAME',
  description: 'bundled model (see models list), a model folder, or ORG/NAME[@REVISION] of the hub',
} as const

/**
 * The flags that commands share; each command takes the ones it honours: `static flags = { model: shared.model, ... }`.
 */
export const shared = {
  model: Flags.string(model),
  output: Flags.string({
    char: 'o',
    helpValue: 'FILE',
    default: '-',
    description: "output file, compressed if it ends in .gz; '-': standard output",
  }),
  force: Flags.boolean({ description: 'replace an existing output' }),
  device: Flags.option({ options: ['auto', ...deviceNames] as const })({
    char: 'd',
    default: defaultDevice,
    description: 'where to compute; auto: on a GPU if there is one, else on the cpu',
  }),
  precision: Flags.option({ options: precisions })({
    default: 'f32',
    description: 'of matrix products; f16: by matrices of float16 of a GPU, faster and a little rounded',
  }),
  threads: integer({
    char: 't',
    min: 1,
    max: 1024,
    env: 'LONGWAVE_THREADS',
    description: 'worker threads [default: the available cores]',
  }),
  chunk: integer({
    min: 1,
    max: 1 << 24,
    description: 'tokens computed at a time; changes speed and memory, never the result',
  }),
  'max-memory': size({
    description: 'memory that the whole process may take, such as 512M or 2G [default: half of what is there]',
  }),
  'tmp-dir': Flags.string({
    helpValue: 'DIR',
    description: 'folder for what does not fit that memory [default: TMPDIR, or that of the system]',
  }),
  spool: Flags.option({ options: ['float32', 'float16'] as const })({
    default: 'float32',
    description:
      'how a record longer than a chunk waits between layers that read both ways; float16: half the room, a little rounded',
  }),
  resume: Flags.boolean({
    description: 'keep what is computed beside the output until it is there; after an interruption go on from that',
  }),
  'dry-run': Flags.boolean({ description: 'print how it would be computed and in how much memory, and end' }),
  'min-length': integer({ min: 0, description: 'skip shorter records, and shorter last windows' }),
  'max-length': integer({ min: 1, description: 'skip longer records' }),
  'on-error': Flags.option({ options: ['fail', 'skip'] as const })({
    default: 'fail',
    description: 'what to do about a bad record',
  }),
  'infile-list': Flags.string({
    helpValue: 'FILE',
    description: "file with one input path per line, or up to each NUL (find -print0); '-': standard input",
  }),
  progress: Flags.boolean({
    allowNo: true,
    description: 'progress on standard error [default: a live line on a terminal, else one line per 30 s]',
  }),
  seed: integer({ min: 0, max: 0xffffffff, default: 1, description: 'seed of everything random' }),
  json: Flags.boolean({ description: 'print the result as one JSON object' }),
}

/** Seconds, or hours, minutes and seconds as in `00:01:30`. */
const seconds = (options: { min: number; description: string }) =>
  Flags.custom<number>({
    description: options.description,
    helpValue: 'TIME',
    parse: async (text) => {
      const parts = /^(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:\.\d*)?|\.\d+)$/.exec(text.trim())
      const [hours, minutes, last] = (parts?.slice(1) ?? []).map((part) => Number(part ?? 0))
      const value = (hours * 60 + minutes) * 60 + last
      if (value >= options.min && value <= 1e9 && (last < 60 || !text.includes(':'))) return value
      throw new UserError(
        `expected seconds from ${options.min} on or a time such as 00:01:30, got '${text}'`,
        exitCodes.usage,
      )
    },
  })()

/** `--html` of the commands that have a report. */
export const html = Flags.string({
  helpValue: 'FILE',
  description: 'also write a report to look at: one HTML file that needs no network',
})

/** Flags of the commands that read audio. */
export const audioFlags = {
  channel: integer({ min: 1, description: 'channel of audio to read [default: the mean of all]' }),
  offset: seconds({ min: 0, description: 'audio to skip at the start: seconds, or 00:01:30' }),
  duration: seconds({ min: 0.001, description: 'audio to read: seconds, or 00:00:30 [default: to the end]' }),
}

/** Of a window or a bin: bases, or seconds. */
export const length = { min: 0.001, max: Number.MAX_SAFE_INTEGER }

/** Flags of the commands that run a model over DNA. */
export const dnaFlags = {
  window: number({
    ...length,
    description: 'cut records into windows of this many bases (audio: seconds, text: tokens), each read by itself',
  }),
  stride: number({
    ...length,
    description: 'start a window every so many bases (audio: seconds, text: tokens) [default: --window]',
  }),
  strand: Flags.option({ options: ['+', '-', 'both'] as const })({
    description: 'strand to read; both: their mean [default: both for a symmetric model, else +]',
  }),
  device: shared.device,
  precision: shared.precision,
  threads: shared.threads,
  chunk: shared.chunk,
  'max-memory': shared['max-memory'],
  'tmp-dir': shared['tmp-dir'],
  'dry-run': shared['dry-run'],
  'min-length': shared['min-length'],
  'max-length': shared['max-length'],
  'on-error': shared['on-error'],
  'infile-list': shared['infile-list'],
  progress: shared.progress,
}

/** How often the benchmarks measure. */
export const rounds = (normal: number) =>
  integer({ min: 1, max: 1000, default: normal, description: 'times each case is measured; the median counts' })

/** The shape of a model with random weights to measure. */
export const shapeFlagsOf = (layers: number, width: number) => ({
  layers: integer({ min: 1, max: 1000, default: layers, description: 'blocks of a random model' }),
  'd-model': integer({ min: 1, max: 65_536, default: width, description: 'its width' }),
})
export const shapeFlags = shapeFlagsOf(4, 128)

/** `-m` of the benchmarks. */
export const modelToMeasure = Flags.string({
  ...model,
  description: 'model to measure [default: random ones, one that reads forward and one that reads both ways]',
})

/** Flags of `bench classify` and `bench embed`. */
export const inferenceBenchFlags = {
  model: modelToMeasure,
  ...shapeFlags,
  tokens: integer({ min: 1, max: 1e9, default: 50_000, description: 'bases of each synthetic input' }),
  threads: shared.threads,
  rounds: rounds(3),
  json: shared.json,
}

/** `-f`: by default what the suffix of -o says, or else the first format; `named`: formats without a suffix. */
export const format = <const F extends readonly [string, ...string[]], const N extends string = never>(
  formats: F,
  named: readonly N[] = [],
) =>
  Flags.option({ options: [...formats, ...named] as (F[number] | N)[] })({
    char: 'f',
    default: async ({ flags }) => formatBySuffix<F[number]>(flags.output ?? '', formats),
    description: 'output format, unless the suffix of -o says it',
  })

/** Every command has these. */
export const everywhere = {
  quiet: Flags.boolean({ char: 'q', description: 'print nothing but data and errors', helpGroup: 'GLOBAL' }),
  verbose: Flags.boolean({ description: 'print more, and the whole stack of an error', helpGroup: 'GLOBAL' }),
}

/** Threads to use for a given `--threads`. */
export const threadsOf = (flag: number | undefined) => flag ?? availableThreads()
