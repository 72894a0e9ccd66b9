import * as Flags from '@oclif/core/flags'
import { exitCodes, UserError } from '../src/errors.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { audioFlags, dnaFlags, format, inputs, integer, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'
import type { Prediction } from '../src/tasks/predict.js'

export default class Embed extends LongwaveCommand {
  static override description =
    'Turn sequences, or audio with a model that reads it, into vectors: one per record (audio: per file) or window, or one per token row with --pool none. Writes .npy with the ids beside it, or JSON lines.'
  static override examples = [
    '<%= config.bin %> embed -m origin reads.fq.gz -o reads.npy',
    '<%= config.bin %> embed -m ./my-model --pool max --layer 1 --format jsonl genome.fa',
  ]
  static override args = { inputs }
  static override flags = {
    model: shared.model,
    output: shared.output,
    force: shared.force,
    resume: shared.resume,
    format: format(['npy', 'jsonl']),
    pool: Flags.option({ options: ['mean', 'max', 'last', 'center', 'none'] as const })({
      default: 'mean',
      description: 'how the rows of a sequence become one vector; none: keep them all',
    }),
    layer: integer({ min: 0, description: 'hidden state to take, counted from 0 [default: after the final norm]' }),
    ...dnaFlags,
    ...audioFlags,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Embed)
    const { embedding, freeRows, rowSize, wantEmbedding } = await import('../src/tasks/embed.js')
    const { drain, openRun } = await import('../src/tasks/open.js')
    const { openOutput } = await import('../src/output/output.js')
    const { print } = await import('../src/output/print.js')
    const { embeddingPaths, embeddingRows } = await import('../src/output/embeddings.js')
    const allRows = flags.pool === 'none'
    if (allRows && flags.strand === 'both')
      throw new UserError('--pool none reads one strand: use --strand + or -', exitCodes.usage)

    const want = wantEmbedding(flags.pool, flags.layer)
    const outputs = embeddingPaths(flags.format, flags.output).map((path) => ({ role: '-o', path }))
    const files = {
      command: { name: 'embed', version: this.config.version },
      inputs: args.inputs,
      folders: true,
      outputs,
    }
    const opened = await openRun(flags, files, want, (line) => this.note(line), allRows ? '+' : undefined)
    if (flags['dry-run']) return print(await opened.run.dryRun())
    const how = { force: flags.force, resumed: opened.resume?.resumed }
    const output = await openOutput(flags.output, how)
    const span = allRows ? { size: rowSize(opened.spec), backwards: flags.strand === '-' } : undefined
    const rows = await embeddingRows(flags.format, output, {
      windows: flags.window !== undefined,
      span,
      ...how,
    })
    this.progress = await Progress.start(progressStyle(flags, flags.output === '-'))
    const take = async (prediction: Prediction) => {
      const { span, last, width } = prediction
      await rows.write({ ...span, last }, embedding(prediction), width)
      if (allRows) freeRows(prediction)
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
