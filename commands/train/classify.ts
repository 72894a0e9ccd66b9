import { Flags } from '@oclif/core'
import { print } from '../../src/output/print.js'
import { LongwaveCommand } from '../../src/shell/command.js'
import { exitCodes, UserError } from '../../src/shell/errors.js'
import { integer, number, shared, threadsOf } from '../../src/shell/flags.js'

export default class TrainClassify extends LongwaveCommand {
  static override description =
    'Train a classifier of DNA from labelled records, or fine-tune one from a model (--from). An interrupted run goes on where it was when the same command is given again. All settings: docs/training.md.'
  static override examples = [
    '<%= config.bin %> train classify --data train.fa.gz --labels train.tsv.gz --valid valid.fa.gz --valid-labels valid.tsv.gz --config small.json --out my-model',
    '<%= config.bin %> train classify --data new.fa --labels new.tsv --from origin --freeze body --out tuned',
  ]
  static override flags = {
    data: Flags.string({ required: true, helpValue: 'FILE', description: 'records to learn from: FASTA or FASTQ' }),
    labels: Flags.string({ required: true, helpValue: 'FILE', description: 'their labels: id<TAB>label lines' }),
    valid: Flags.string({ helpValue: 'FILE', description: 'records to choose the best model by' }),
    'valid-labels': Flags.string({ helpValue: 'FILE', description: 'their labels [default: --labels]' }),
    out: Flags.string({ required: true, helpValue: 'DIR', description: 'folder of the model, its log and checkpoint' }),
    config: Flags.string({ helpValue: 'FILE', description: 'JSON file of training settings; flags go before it' }),
    from: Flags.string({ helpValue: 'NAME|FOLDER', description: 'start from the body of this model, with a new head' }),
    freeze: Flags.string({
      helpValue: 'none|body|N',
      default: 'none',
      description: 'what keeps still: all but the head, or embedding, stem and N blocks',
    }),
    layers: integer({ min: 1, description: 'blocks' }),
    'd-model': integer({ min: 1, description: 'width' }),
    bidirectional: Flags.boolean({ allowNo: true, description: 'blocks that read both ways' }),
    pool: Flags.option({ options: ['mean', 'max', 'last', 'center', 'positions'] as const })({
      description: 'read-out',
    }),
    symmetric: Flags.boolean({
      description: 'the label does not depend on the strand: learn from both, answer from both',
    }),
    epochs: integer({ min: 1, description: 'passes over the data' }),
    batch: integer({ min: 1, description: 'records per step' }),
    lr: number({ min: 0, max: 1, description: 'peak learning rate' }),
    dropout: number({ min: 0, max: 0.99, description: 'dropout of each block' }),
    patience: integer({ min: 0, description: 'epochs without a better validation before the end; 0: never' }),
    name: Flags.string({ description: 'name of the model, in its config' }),
    description: Flags.string({ description: 'one line about it, in its config' }),
    licence: Flags.string({ description: 'its licence, in its config' }),
    seed: integer({ min: 0, max: 0xffffffff, description: 'seed of everything random [default: 1]' }),
    device: shared.device,
    threads: shared.threads,
    force: shared.force,
    progress: shared.progress,
    json: shared.json,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(TrainClassify)
    const { prepare, readSettings } = await import('../../src/training/prepare.js')
    const { train } = await import('../../src/training/loop.js')
    const { trainingText } = await import('../../src/training/progress.js')
    const { Progress, progressStyle } = await import('../../src/shell/progress.js')

    const fromFlags = {
      layers: flags.layers,
      d_model: flags['d-model'],
      bidirectional: flags.bidirectional,
      pool: flags.pool,
      strand: flags.symmetric ? 'symmetric' : undefined,
      epochs: flags.epochs,
      batch: flags.batch,
      lr: flags.lr,
      dropout: flags.dropout,
      patience: flags.patience,
      seed: flags.seed,
    }
    const given = {
      ...(flags.config === undefined ? {} : await readSettings(flags.config)),
      ...Object.fromEntries(Object.entries(fromFlags).filter(([, value]) => value !== undefined)),
    }
    const valid =
      flags.valid === undefined ? null : { data: flags.valid, labels: flags['valid-labels'] ?? flags.labels }
    const prepared = await prepare(
      { train: { data: flags.data, labels: flags.labels }, valid },
      given,
      flags.from === undefined ? null : await pretrained(flags.from),
      flags.freeze,
    )
    const stop = new AbortController()
    const signals = stopOnSignals(stop)
    this.progress = await Progress.start(progressStyle(flags, false))
    const result = await train({
      ...prepared,
      card: { name: flags.name, description: flags.description, licence: flags.licence },
      out: flags.out,
      device: flags.device === 'auto' ? 'cpu' : flags.device,
      threads: threadsOf(flags.threads),
      force: flags.force,
      signal: stop.signal,
      onProgress: (progress) => {
        if (progress.valid) this.note(trainingText(progress))
        else this.progress?.tick(() => trainingText(progress))
      },
    })
    this.progress.stop()
    if (!result.finished)
      throw new UserError(`stopped after step ${result.step}; the same command goes on from there`, signals.exitCode())
    if (flags.json) return print(`${JSON.stringify({ model: flags.out, ...result }, null, 2)}\n`)
    this.note(
      `${flags.out}: ${result.step} steps${result.best ? `, best after step ${result.best.step} (${prepared.settings.metric} ${Math.abs(result.best.score).toFixed(4)})` : ''}`,
    )
  }
}

async function pretrained(nameOrFolder: string) {
  const { modelFolder } = await import('../../src/models.js')
  const { openCheckpoint } = await import('../../src/checkpoints/open.js')
  return { name: nameOrFolder, ...(await openCheckpoint(await modelFolder(nameOrFolder))) }
}

/** The first signal lets the step at hand and a checkpoint finish; the second ends the process. */
function stopOnSignals(stop: AbortController): { exitCode(): number } {
  let exitCode: number = exitCodes.interrupted
  for (const [signal, code] of [
    ['SIGINT', exitCodes.interrupted],
    ['SIGTERM', exitCodes.terminated],
  ] as const) {
    process.removeAllListeners(signal)
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(code)
      exitCode = code
      stop.abort()
    })
  }
  return { exitCode: () => exitCode }
}
