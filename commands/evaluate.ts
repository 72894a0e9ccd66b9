import * as Flags from '@oclif/core/flags'
import { print } from '../src/output/print.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { dnaFlags, html, integer, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'

export default class Evaluate extends LongwaveCommand {
  static override description =
    'Measure a model on labelled records: accuracy, Matthews correlation, figures of each label, areas under curves, calibration and the confusion matrix of a classifier; word and character error rates of a model that transcribes; with 95 % intervals.'
  static override examples = [
    '<%= config.bin %> evaluate -m origin --data test.fa.gz --labels test.tsv.gz',
    '<%= config.bin %> evaluate -m my-model --data test.fa.gz --labels test.tsv.gz --json',
    '<%= config.bin %> evaluate -m my-model --data test.fa.gz --labels test.tsv.gz --html report.html --predictions calls.tsv.gz',
    '<%= config.bin %> evaluate -m english --data recordings/ --labels texts.tsv',
  ]
  static override flags = {
    model: shared.model,
    data: Flags.string({
      required: true,
      helpValue: 'FILE|DIR',
      description: 'records: FASTA, FASTQ or, for a model of text, lines; or a folder of recordings',
    }),
    labels: Flags.string({
      required: true,
      helpValue: 'FILE',
      description: 'their labels: id<TAB>label lines; for recordings path<TAB>label or text',
    }),
    predictions: Flags.string({
      helpValue: 'FILE',
      description: 'also write one row per record: .tsv, .jsonl, compressed if it ends in .gz',
    }),
    html,
    force: shared.force,
    strand: dnaFlags.strand,
    beam: integer({ min: 0, max: 1000, description: 'as for transcribe' }),
    device: shared.device,
    precision: shared.precision,
    threads: shared.threads,
    chunk: shared.chunk,
    'on-error': shared['on-error'],
    seed: shared.seed,
    progress: shared.progress,
    json: shared.json,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Evaluate)
    const { evaluate } = await import('../src/training/evaluate.js')
    const { foundModel } = await import('../src/shell/found-model.js')
    const note = (line: string) => this.note(line)
    const model = await foundModel(flags.model, flags, note)
    const progress = await Progress.start(progressStyle(flags, true))
    this.progress = progress
    const maker = `longwave ${this.config.version} evaluate`
    const { figures, text } = await evaluate(flags, model, maker, progress, note)
    await print(flags.json ? `${JSON.stringify(figures, null, 2)}\n` : text)
  }
}
