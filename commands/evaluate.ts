import { statSync } from 'node:fs'
import { join } from 'node:path'
import { Flags } from '@oclif/core'
import { print } from '../src/output/print.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { dnaFlags, integer, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'
import type { Prediction } from '../src/tasks/predict.js'
import type { Transcribed } from '../src/tasks/transcribe.js'

export default class Evaluate extends LongwaveCommand {
  static override description =
    'Measure a model on labelled records: accuracy, Matthews correlation, macro F1 and the confusion matrix of a classifier; word and character error rates of a model that transcribes.'
  static override examples = [
    '<%= config.bin %> evaluate -m origin --data test.fa.gz --labels test.tsv.gz',
    '<%= config.bin %> evaluate -m my-model --data test.fa.gz --labels test.tsv.gz --json',
    '<%= config.bin %> evaluate -m english --data recordings/ --labels texts.tsv',
  ]
  static override flags = {
    model: shared.model,
    data: Flags.string({
      required: true,
      helpValue: 'FILE|DIR',
      description: 'records: FASTA or FASTQ, or a folder of recordings',
    }),
    labels: Flags.string({
      required: true,
      helpValue: 'FILE',
      description: 'their labels: id<TAB>label lines; of recordings path<TAB>label or text',
    }),
    strand: dnaFlags.strand,
    beam: integer({ min: 0, max: 1000, description: 'as for transcribe' }),
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
    const { drain, openRun, openTranscription, transcribes } = await import('../src/tasks/open.js')
    const { LabelTable } = await import('../src/training/labels.js')
    const { Calls, metricsTable, Transcripts, transcriptsTable } = await import('../src/training/evaluation.js')

    const table = await LabelTable.read(flags.labels)
    const folder = statSync(flags.data, { throwIfNoEntry: false })?.isDirectory() ? flags.data : null
    const inputs = folder === null ? [flags.data] : table.ids.map((path) => join(folder, path))
    // As the table names them: it may say ./a.wav, and a path is given without the dot.
    const named = new Map(folder === null ? [] : inputs.map((path, i) => [path, table.ids[i]]))
    const idOf = (id: string) => named.get(id) ?? id
    const nothing = async () => {}
    const progress = await Progress.start(progressStyle(flags, true))
    this.progress = progress

    if (await transcribes(flags.model)) {
      const opened = await openTranscription(flags, inputs, (line) => this.note(line))
      const transcripts = new Transcripts(table)
      const add = async ({ recording, words }: Transcribed) => transcripts.add(idOf(recording.id), words)
      await drain(opened, progress, add, nothing, nothing)
      const metrics = transcripts.metrics()
      return print(flags.json ? `${JSON.stringify(metrics, null, 2)}\n` : transcriptsTable(metrics))
    }
    const opened = await openRun(flags, inputs, wantClasses, (line) => this.note(line))
    const calls = new Calls(table, labelsOf(opened.spec))
    const add = async (prediction: Prediction) => {
      const { stretch, best } = classification(prediction)
      calls.add({ ...stretch.record, id: idOf(stretch.record.id) }, best)
    }
    await drain(opened, progress, add, nothing, nothing)
    const metrics = calls.metrics()
    const json = { labels: calls.classes, ...metrics }
    await print(flags.json ? `${JSON.stringify(json, null, 2)}\n` : metricsTable(metrics, calls.classes))
  }
}
