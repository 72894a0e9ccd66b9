import { basename, relative, resolve } from 'node:path'
import * as Flags from '@oclif/core/flags'
import { type Device, pickDevice } from '../backends/registry.js'
import { exitCodes, UserError } from '../errors.js'
import { type Output, openOutput } from '../output/output.js'
import type { Named } from '../output/overlap.js'
import { print } from '../output/print.js'
import { isStandardOutput } from '../output/sink.js'
import { LongwaveCommand } from '../shell/command.js'
import { html, integer, number, realNumber, shared, threadsOf } from '../shell/flags.js'
import { endBy, endingSignals } from '../shell/guard.js'
import { Progress, progressStyle } from '../shell/progress.js'
import type { TrainResult } from './loop.js'
import type { LabelledFiles, Prepared, Pretrained } from './prepare.js'
import type { Regime } from './settings.js'

/** The flags of all training commands. */
export const trainFlags = {
  out: Flags.string({ required: true, helpValue: 'DIR', description: 'folder of the model, its log and checkpoint' }),
  config: Flags.string({ helpValue: 'FILE', description: 'JSON file of training settings; flags override it' }),
  from: Flags.string({
    helpValue: shared.model.helpValue,
    description: 'start from this model; its head, too, where it can say what is to be learnt',
  }),
  freeze: Flags.string({
    helpValue: 'none|embedding|stem|blocks|norm|head|body|N',
    default: 'none',
    description: 'what is frozen: parts, with commas between (body: all but the head); N: embedding, stem and N blocks',
  }),
  layers: integer({ min: 1, description: 'blocks' }),
  'd-model': integer({ min: 1, description: 'width' }),
  bidirectional: Flags.boolean({ allowNo: true, description: 'blocks that read both ways' }),
  epochs: integer({ min: 1, description: 'passes over the data' }),
  batch: integer({ min: 1, description: 'records per step' }),
  lr: Flags.custom<Rates>({
    helpValue: 'X,PART=X',
    description: 'peak learning rate, and those of parts: embedding, stem, blocks, norm, head, body (all but the head)',
    parse: async (text) => ratesOf(text),
  })(),
  dropout: number({ min: 0, max: 0.99, description: 'dropout of each block' }),
  patience: integer({ min: 0, description: 'epochs without a better validation before the end; 0: never' }),
  name: Flags.string({ description: 'name of the model, in its config' }),
  description: Flags.string({ description: 'one line about it, in its config' }),
  licence: Flags.string({ description: 'its licence, in its config' }),
  seed: integer({ min: 0, max: 0xffffffff, description: 'seed of everything random [default: 1]' }),
  html,
  device: shared.device,
  threads: shared.threads,
  force: shared.force,
  progress: shared.progress,
  json: shared.json,
}

/** Learning rates as settings have them. */
type Rates = Pick<Partial<Regime>, 'lr' | 'part_lr'>

/** `0.001`, `head=0.001,body=0.00001`: of all, of parts. */
function ratesOf(text: string): Rates {
  const given = text.split(',').map((one) => {
    const at = one.indexOf('=')
    return { part: one.slice(0, Math.max(0, at)), rate: realNumber(one.slice(at + 1), 0, 1) }
  })
  const of = given.filter(({ part }) => part !== '').map(({ part, rate }) => [part, rate])
  const lr = given.find(({ part }) => part === '')?.rate
  return { ...(lr === undefined ? {} : { lr }), ...(of.length === 0 ? {} : { part_lr: Object.fromEntries(of) }) }
}

/** Flags of training as oclif hands them over. */
export interface TrainFlags {
  out: string
  config?: string
  from?: string
  freeze: string
  layers?: number
  'd-model'?: number
  bidirectional?: boolean
  epochs?: number
  batch?: number
  lr?: Rates
  dropout?: number
  patience?: number
  name?: string
  description?: string
  licence?: string
  seed?: number
  html?: string
  device: 'auto' | Device
  threads?: number
  force: boolean
  quiet?: boolean
  progress?: boolean
  json: boolean
}

/** What the training commands share: settings from file and flags, the run with its progress, and the last line. */
export abstract class TrainCommand extends LongwaveCommand {
  /** --html, open from the start: after days it must not turn out that it cannot be written. */
  private page: Output | null = null
  private fromFolder = ''

  /** Settings of --config, and over them those of the flags; `more`: of a command's own flags. */
  protected async given(flags: TrainFlags, more: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const { readSettings } = await import('./prepare.js')
    const { layers, bidirectional, epochs, batch, lr, dropout, patience, seed } = flags
    const own = {
      layers,
      d_model: flags['d-model'],
      bidirectional,
      epochs,
      batch,
      ...lr,
      dropout,
      patience,
      seed,
      ...more,
    }
    return {
      ...(flags.config === undefined ? {} : await readSettings(flags.config)),
      ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)),
    }
  }

  protected async pretrained({ from }: TrainFlags): Promise<(Pretrained & { folder: string }) | null> {
    if (from === undefined) return null
    const { openCheckpoint } = await import('../checkpoints/open.js')
    return { name: from, ...(await openCheckpoint(this.fromFolder)) }
  }

  /**
   * Finds the model of --from, and looks at what a run would read and write before it reads anything. Errors: 2 for an --out that is also an input or
   * holds --html, 73 for a folder that cannot be used (RunFolder.check) and a report that cannot be made.
   */
  protected async checkFiles(flags: TrainFlags, data: readonly Named[]): Promise<void> {
    const { refuseOverlap } = await import('../output/overlap.js')
    const { runFiles } = await import('./run-files.js')
    const { RunFolder } = await import('./run-folder.js')
    const { modelFiles } = await import('../checkpoints/catalogue.js')
    const { foundModel } = await import('../shell/found-model.js')
    const { out, config, from, force, html: report, json } = flags
    const outputs = [out, ...Object.values(runFiles(out))].map((path) => ({ role: '--out', path }))
    if (report !== undefined) outputs.push({ role: '--html', path: report })
    if (json) outputs.push({ role: '--json', path: '-' })
    if (from !== undefined) this.fromFolder = await foundModel(from, flags, (line) => this.note(line))
    const inputs = [
      ...data,
      ...(config === undefined ? [] : [{ role: '--config', path: config }]),
      ...(from === undefined ? [] : await modelFiles(this.fromFolder)),
    ] // biome-ignore format: a list
    await refuseOverlap(outputs, inputs)
    if (report !== undefined && !isStandardOutput(report) && isIn(out, report))
      throw new UserError(
        `--html ${report}: --out ${out} holds nothing but the run; choose a place outside`,
        exitCodes.usage,
      )
    await RunFolder.check(out, force)
    if (report !== undefined) this.page = await openOutput(report, { force })
  }

  /** Reads the recordings, and trains. */
  protected async trainOnAudio(
    flags: TrainFlags,
    files: { train: LabelledFiles; valid: LabelledFiles | null },
    task: 'transcribe' | 'classify',
    more: Record<string, unknown> = {},
  ): Promise<void> {
    const { prepareAudio } = await import('./audio/prepare.js')
    const progress = await Progress.start(progressStyle(flags, false))
    this.progress = progress
    const prepared = await prepareAudio(
      files,
      await this.given(flags, more),
      await this.pretrained(flags),
      flags.freeze,
      {
        task,
        threads: threadsOf(flags.threads),
        onRead: (count, of) => progress.tick(() => `read ${count} of ${of} recordings`),
        note: (line) => this.note(line),
      },
    )
    await this.train(flags, prepared)
  }

  protected async train(flags: TrainFlags, prepared: Prepared): Promise<void> {
    const { train } = await import('./loop.js')
    const { calibrationText, trainingText } = await import('./progress.js')
    const { noteMissing } = await import('../backends/cpu/onnxruntime.js')
    const { device, why } = await pickDevice(flags.device, { training: true })
    if (why) this.note(`device ${device} (${why})`)
    if (device === 'cpu') noteMissing((line) => this.note(line))
    this.progress ??= await Progress.start(progressStyle(flags, false))
    const stop = new AbortController()
    const signals = stopOnSignals(stop)
    const training = train({
      ...prepared,
      card: { name: flags.name, description: flags.description, licence: flags.licence },
      out: flags.out,
      device,
      threads: threadsOf(flags.threads),
      force: flags.force,
      signal: stop.signal,
      onProgress: (progress) => {
        if (progress.valid) this.note(trainingText(progress))
        else this.progress?.tick(() => trainingText(progress))
      },
    })
    const result = await training.finally(signals.release)
    this.progress.stop()
    if (!result.finished)
      throw new UserError(`stopped after step ${result.step}; the same command resumes from there`, signals.exitCode())
    await this.report(flags, prepared, result)
    if (flags.json) return print(`${JSON.stringify({ model: flags.out, ...result }, null, 2)}\n`)
    const { best, calibration } = result
    if (calibration) this.note(calibrationText(calibration))
    const chosen = best
      ? `, best after step ${best.step} (${prepared.settings.metric} ${Math.abs(best.score).toFixed(4)})`
      : ''
    this.note(`${flags.out}: ${result.step} steps${chosen}`)
  }

  private async report({ out }: TrainFlags, { spec, settings, provenance }: Prepared, result: TrainResult) {
    if (this.page === null) return
    const { trainingPage } = await import('./report/training-page.js')
    const { readHistory } = await import('./history.js')
    const { runFiles } = await import('./run-files.js')
    const head = {
      maker: `longwave ${this.config.version} ${this.id?.replaceAll(':', ' ')}`,
      title: `Training of ${basename(resolve(out))}`,
      facts: factsOf(provenance),
    }
    const history = await readHistory(runFiles(out).log)
    const text = trainingPage(head, { history, spec, settings, steps: result.step, best: result.best })
    await this.page.write(text)
    await this.page.close()
  }

  protected override async finally(): Promise<void> {
    await this.page?.abort()
    await super.finally()
  }
}

/** The files of a run and the flags that name them. */
export const labelledInputs = (
  { train, valid }: { train: LabelledFiles; valid: LabelledFiles | null },
  labels: string,
): Named[] => [
  { role: '--data', path: train.data },
  { role: `--${labels}`, path: train.labels },
  ...(valid ? [{ role: '--valid', path: valid.data }, { role: `--valid-${labels}`, path: valid.labels }] : []),
] // biome-ignore format: a list

/** The data of a run, and what it started from, as a report names them. */
function factsOf({ data, from }: Prepared['provenance']): [string, string][] {
  const set = (name: string) => {
    const { data: file, records, bases } = (data[name] ?? {}) as { data?: string; records?: number; bases?: number }
    if (file === undefined) return []
    const size = bases === undefined ? '' : `, ${bases.toLocaleString('en')} bases`
    return [[name, `${file}, ${records} records${size}`] as [string, string]]
  }
  return [...set('train'), ...set('valid'), ...(from === undefined ? [] : [['from', from] as [string, string]])]
}

const isIn = (folder: string, path: string) => !/^\.\.(\/|$)/.test(relative(folder, path))

/**
 * The first signal stops the run with a checkpoint; the second ends the process. A terminal that goes away may hang up
 * twice, by itself and through its shell: that is one signal. `release`: signals do again what they did before.
 */
function stopOnSignals(stop: AbortController): { exitCode(): number; release(): void } {
  let exitCode: number = exitCodes.interrupted
  const releases = Object.entries(endingSignals()).map(([signal, code]) => {
    const before = process.rawListeners(signal) as NodeJS.SignalsListener[]
    process.removeAllListeners(signal)
    process.on(signal, () => {
      if (stop.signal.aborted && signal === 'SIGHUP') return
      if (stop.signal.aborted) endBy(signal as NodeJS.Signals, code)
      exitCode = code
      stop.abort()
    })
    return () => {
      process.removeAllListeners(signal)
      for (const listener of before) process.on(signal, listener)
    }
  })
  return {
    exitCode: () => exitCode,
    release() {
      // Stopped, the process is about to end: another hang-up must not come before its line.
      if (stop.signal.aborted) return
      for (const release of releases) release()
    },
  }
}
