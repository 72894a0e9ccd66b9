import * as Flags from '@oclif/core/flags'
import { exitCodes, UserError } from '../src/errors.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { audioFlags, dnaFlags, format, inputs, integer, length, number, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'
import type { Prediction } from '../src/tasks/predict.js'

export default class Embed extends LongwaveCommand {
  static override description =
    'Turn sequences, or audio or text with a model that reads it, into vectors: one per record (audio: per file; text: per line), window or bin, or one per token row with --pool none. Writes .npy or .safetensors with the ids beside it, Parquet, or JSON lines.'
  static override examples = [
    '<%= config.bin %> embed -m origin reads.fq.gz -o reads.npy',
    '<%= config.bin %> embed -m origin reads.fq.gz -o reads.parquet',
    '<%= config.bin %> embed -m bases --bin 1000 -o bins.npy genome.fa',
    '<%= config.bin %> embed -m ./my-model --pool max --layer 1 --format jsonl genome.fa',
  ]
  static override args = { inputs }
  static override flags = {
    model: shared.model,
    output: shared.output,
    force: shared.force,
    spool: shared.spool,
    resume: shared.resume,
    format: format(['npy', 'safetensors', 'parquet', 'jsonl']),
    pool: Flags.option({ options: ['mean', 'max', 'last', 'center', 'none'] as const })({
      default: 'mean',
      description: 'how the rows of a sequence become one vector; none: keep them all',
    }),
    layer: integer({ min: 0, description: 'hidden state to take, counted from 0 [default: after the final norm]' }),
    bin: number({
      ...length,
      description:
        'one vector for every so many bases (audio: seconds) of a record that is read whole: the mean of its rows',
    }),
    ...dnaFlags,
    ...audioFlags,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Embed)
    const { embedding, freeRows, rowSize, wantEmbedding } = await import('../src/tasks/embed.js')
    const { openRun } = await import('../src/tasks/open.js')
    const { drain } = await import('../src/tasks/drain.js')
    const { openOutput } = await import('../src/output/output.js')
    const { print } = await import('../src/output/print.js')
    const { embeddingPaths, embeddingRows, writerBytes } = await import('../src/output/embeddings.js')
    const { bin, pool, window } = flags
    const severalRows = pool === 'none' || bin !== undefined
    if (severalRows && flags.strand === 'both')
      throw usage(`${bin === undefined ? '--pool none' : '--bin'} reads one strand: use --strand + or -`)
    if (bin !== undefined && window !== undefined)
      throw usage('--bin is for records that are read whole: leave --window out')

    const want = wantEmbedding(pool, flags.layer, bin)
    const outputs = embeddingPaths(flags.format, flags.output).map((path) => ({ role: '-o', path }))
    const files = {
      command: { name: 'embed', version: this.config.version },
      inputs: args.inputs,
      folders: true,
      outputs,
      writerBytes: writerBytes(flags.format),
    }
    const opened = await openRun(flags, files, want, (line) => this.note(line), severalRows ? '+' : undefined)
    if (flags['dry-run']) return print(await opened.run.dryRun())
    const how = { force: flags.force, resumed: opened.resume?.resumed }
    const output = await openOutput(flags.output, how)
    const rowSpan = { size: bin ?? rowSize(opened.spec), backwards: flags.strand === '-', listed: bin !== undefined }
    const span = severalRows ? rowSpan : undefined
    const rows = await embeddingRows(flags.format, output, {
      windows: window !== undefined,
      seconds: opened.spec.input.kind === 'log-mel',
      span,
      ...how,
    })
    this.progress = await Progress.start(progressStyle(flags, flags.output === '-'))
    const take = async (prediction: Prediction) => {
      const { span, last, width } = prediction
      await rows.write({ ...span, last }, embedding(prediction), width)
      if (severalRows) freeRows(prediction)
    }
    await drain(
      opened,
      this.progress,
      take,
      () => rows.close(),
      () => rows.abort(),
    )
  }
}

const usage = (text: string) => new UserError(text, exitCodes.usage)
