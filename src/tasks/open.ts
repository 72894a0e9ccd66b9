import type { Device } from '../backends/open.js'
import { openCheckpoint } from '../checkpoints/open.js'
import { type RecordStream, readRecords } from '../input/read.js'
import { modelFolder } from '../models.js'
import { exitCodes, UserError } from '../shell/errors.js'
import { inputPaths } from '../shell/inputs.js'
import { type Progress, progressText } from '../shell/progress.js'
import { availableThreads } from '../shell/threads.js'
import type { ModelSpec, Weights } from '../spec.js'
import { DnaRun } from './dna.js'
import type { Wanted } from './inference.js'
import type { Prediction, Strand } from './predict.js'

/** Flags of the commands that read DNA, as oclif hands them over. */
export interface DnaFlags {
  model?: string
  device: 'auto' | Device
  threads?: number
  chunk?: number
  window?: number
  stride?: number
  strand?: Strand
  'min-length'?: number
  'max-length'?: number
  'on-error': 'fail' | 'skip'
  'infile-list'?: string
}

export interface OpenedRun {
  spec: ModelSpec
  records: RecordStream
  run: DnaRun
}

/** Opens the model and the inputs that the flags name. `want` says what is wanted of the model, or throws that it has not got it. */
export async function openDnaRun(
  flags: DnaFlags,
  inputs: string[] | undefined,
  want: (spec: ModelSpec) => Wanted,
  note: (line: string) => void,
): Promise<OpenedRun> {
  if (flags.stride !== undefined && flags.window === undefined) {
    throw new UserError('--stride needs --window', exitCodes.usage)
  }
  const folder = await modelFolder(flags.model)
  const paths = await inputPaths(inputs, flags['infile-list'])
  const model: { spec: ModelSpec; weights: Weights } = await openCheckpoint(folder)
  const skip = flags['on-error'] === 'skip'
  const records = readRecords(paths, { onError: flags['on-error'], report: ({ message }) => note(message) })
  const run = new DnaRun(model, {
    device: flags.device === 'auto' ? 'cpu' : flags.device,
    threads: flags.threads ?? availableThreads(),
    chunk: flags.chunk,
    window: flags.window,
    stride: flags.stride,
    strand: flags.strand,
    minLength: flags['min-length'],
    maxLength: flags['max-length'],
    skip,
    wanted: want(model.spec),
    note,
  })
  return { spec: model.spec, records, run }
}

/** Gives all predictions to `take`, with progress and a last line; when it fails, `abort` removes what was begun. */
export async function drain(
  opened: OpenedRun,
  progress: Progress,
  take: (prediction: Prediction) => Promise<void>,
  finish: () => Promise<void>,
  abort: () => Promise<void>,
): Promise<void> {
  const began = performance.now()
  let records = 0
  const text = () => {
    const seconds = (performance.now() - began) / 1000
    return progressText({ records, tokens: opened.run.bases, unit: 'bp', seconds })
  }
  try {
    for await (const prediction of opened.run.predictions(opened.records)) {
      await take(prediction)
      records++
      progress.tick(text)
    }
    await finish()
  } catch (error) {
    await abort()
    throw error
  }
  progress.done([text(), ...leftOut(opened)].join('; '))
}

/** What gave no prediction, and why; empty if nothing was left out. */
function leftOut({ records, run }: OpenedRun): string[] {
  const { skippedRecords, skippedFiles } = records.counts
  const { tooShort, tooLong, empty } = run.leftOut
  const counts: [number, string][] = [
    [empty, 'empty'],
    [tooShort, 'too short'],
    [tooLong, 'too long'],
    [run.wrongLength, 'of a length the model does not read'],
    [skippedRecords, 'bad records'],
    [skippedFiles, 'bad files'],
  ]
  const told = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
  return told.length > 0 ? [`left out: ${told.join(', ')}`] : []
}
