import { statSync } from 'node:fs'
import { join } from 'node:path'
import { Flags } from '@oclif/core'
import { exitCodes, UserError } from '../src/errors.js'
import type { SequenceRecord } from '../src/input/dna/records.js'
import { print } from '../src/output/print.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { dnaFlags, integer, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'
import type { Recording } from '../src/tasks/audio/recordings.js'
import type { Transcribed } from '../src/tasks/audio/transcribe.js'
import type { Prediction } from '../src/tasks/predict.js'

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
      description: 'their labels: id<TAB>label lines; for recordings path<TAB>label or text',
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
    const { refuseOverlap } = await import('../src/output/overlap.js')
    const { drain, openRun, openTranscription, transcribes } = await import('../src/tasks/open.js')
    const { LabelTable } = await import('../src/training/data/labels.js')
    const { Calls, metricsTable, Transcripts, transcriptsTable } = await import('../src/training/metrics/evaluation.js')

    const note = (line: string) => this.note(line)
    await refuseOverlap(
      [],
      [
        { role: '--labels', path: flags.labels },
        { role: '--data', path: flags.data },
      ],
    )
    const table = await LabelTable.read(flags.labels)
    const folder = statSync(flags.data, { throwIfNoEntry: false })?.isDirectory() ? flags.data : null
    const rows = folder === null ? null : await table.recordings(folder, note)
    const inputs = rows === null ? [flags.data] : rows.map(({ id }) => join(flags.data, id))
    const files = { inputs, folders: false, outputs: [] }
    // A recording of a folder is a line of the table, whatever its path is called there; other records have ids.
    const entryOf = (record: SequenceRecord) =>
      rows === null ? table.entryOf(record) : rows[(record as Recording).index]
    const nothing = async () => {}
    const progress = await Progress.start(progressStyle(flags, true))
    this.progress = progress

    if (await transcribes(flags.model)) {
      const opened = await openTranscription(flags, files, note)
      const transcripts = new Transcripts(table.file)
      const add = async ({ recording, words }: Transcribed) => transcripts.add(entryOf(recording), words)
      await drain(opened, progress, add, nothing, nothing)
      const metrics = transcripts.metrics()
      return print(flags.json ? `${JSON.stringify(metrics, null, 2)}\n` : transcriptsTable(metrics))
    }
    const opened = await openRun(flags, files, wantClasses, note)
    if (rows !== null && opened.spec.input.kind !== 'log-mel')
      throw new UserError(`--data ${flags.data}: a folder, but this model reads a file of DNA`, exitCodes.usage)
    const calls = new Calls(table, labelsOf(opened.spec))
    const present = new Set<string>()
    const add = async (prediction: Prediction) => {
      const { span, best } = classification(prediction)
      present.add(span.record.id)
      calls.add(entryOf(span.record), best)
    }
    await drain(opened, progress, add, nothing, nothing)
    if (rows === null) table.noteAbsent(present, note)
    const metrics = calls.metrics()
    const json = { labels: calls.classes, ...metrics }
    await print(flags.json ? `${JSON.stringify(json, null, 2)}\n` : metricsTable(metrics, calls.classes))
  }
}
