import { Flags } from '@oclif/core'
import { print } from '../src/output/print.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { dnaFlags, shared } from '../src/shell/flags.js'

export default class Evaluate extends LongwaveCommand {
  static override description =
    'Measure a classifier on labelled records: accuracy, Matthews correlation, macro F1 and the confusion matrix.'
  static override examples = [
    '<%= config.bin %> evaluate -m origin --data test.fa.gz --labels test.tsv.gz',
    '<%= config.bin %> evaluate -m my-model --data test.fa.gz --labels test.tsv.gz --json',
  ]
  static override flags = {
    model: shared.model,
    data: Flags.string({ required: true, helpValue: 'FILE', description: 'records: FASTA or FASTQ' }),
    labels: Flags.string({ required: true, helpValue: 'FILE', description: 'their labels: id<TAB>label lines' }),
    strand: dnaFlags.strand,
    device: shared.device,
    threads: shared.threads,
    chunk: shared.chunk,
    'on-error': shared['on-error'],
    progress: shared.progress,
    json: shared.json,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Evaluate)
    const { classification, labelsOf, wantClasses } = await import('../src/tasks/classify.js')
    const { drain, openDnaRun } = await import('../src/tasks/open.js')
    const { Calls, metricsTable } = await import('../src/training/evaluation.js')
    const { Progress, progressStyle } = await import('../src/shell/progress.js')

    const opened = await openDnaRun(flags, [flags.data], wantClasses, (line) => this.note(line))
    const calls = await Calls.open(flags.labels, labelsOf(opened.spec))
    this.progress = await Progress.start(progressStyle(flags, true))
    await drain(
      opened,
      this.progress,
      async (prediction) => {
        const { stretch, best } = classification(prediction)
        calls.add(stretch.record, best)
      },
      async () => {},
      async () => {},
    )
    const metrics = calls.metrics()
    if (flags.json) return print(`${JSON.stringify({ labels: calls.classes, ...metrics }, null, 2)}\n`)
    await print(metricsTable(metrics, calls.classes))
  }
}
