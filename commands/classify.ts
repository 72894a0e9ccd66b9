import { Flags } from '@oclif/core'
import { LongwaveCommand } from '../src/shell/command.js'
import { audioFlags, dnaFlags, format, inputs, number, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'
import type { Prediction } from '../src/tasks/predict.js'

export default class Classify extends LongwaveCommand {
  static override description =
    'Label sequences or sounds with a trained model. Reads FASTA, FASTQ or JSON lines, plain or gzip; with a model that reads audio, WAV and what ffmpeg reads. Writes one row per record (audio: per file), or per window.'
  static override examples = [
    '<%= config.bin %> classify -m origin fixtures/fragments.fa',
    'zcat reads.fq.gz | <%= config.bin %> classify -m origin --min-score 0.8 -o labels.tsv.gz --report totals.tsv',
    '<%= config.bin %> classify -m origin --window 500 genome.fna.gz',
    '<%= config.bin %> classify -m sounds clips/*.wav',
  ]
  static override args = { inputs }
  static override flags = {
    model: shared.model,
    output: shared.output,
    force: shared.force,
    format: format(['tsv', 'jsonl', 'json']),
    probabilities: Flags.boolean({ description: 'add the probability of every label' }),
    'min-score': number({ min: 0, max: 1, description: "below this score the label is 'unclassified'" }),
    report: Flags.string({ helpValue: 'FILE', description: 'also write totals per label to this file' }),
    ...dnaFlags,
    ...audioFlags,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Classify)
    const { classification, labelsOf, Report, unclassified, wantClasses } = await import('../src/tasks/classify.js')
    const { drain, openRun } = await import('../src/tasks/open.js')
    const { closeAll, openOutput } = await import('../src/output/output.js')
    const { openRows } = await import('../src/output/formats.js')
    const { tsvRows } = await import('../src/output/tsv.js')

    const outputs = [
      { role: '-o', path: flags.output },
      ...(flags.report === undefined ? [] : [{ role: '--report', path: flags.report }]),
    ]
    const opened = await openRun(flags, { inputs: args.inputs, outputs }, wantClasses, (line) => this.note(line))
    const labels = labelsOf(opened.spec)
    const place = flags.window === undefined ? ['length'] : ['start', 'end']
    const nested = flags.format !== 'tsv'
    const detail = nested ? ['probabilities'] : labels.map((label) => `p:${label}`)
    const columns = ['id', ...place, 'label', 'score', ...(flags.probabilities ? detail : [])]
    const output = await openOutput(flags.output, flags)
    const reportOutput = flags.report === undefined ? null : await openOutput(flags.report, flags)
    const rows = await openRows(flags.format, output, columns)
    const report = new Report(labels, opened.spec.input.kind === 'log-mel' ? 'seconds' : 'bases')
    this.progress = await Progress.start(progressStyle(flags, flags.output === '-'))

    const take = async (prediction: Prediction) => {
      const { span, best, probabilities } = classification(prediction)
      const { record, start, end } = span
      const score = probabilities[best]
      const label = score < (flags['min-score'] ?? 0) ? null : best
      const where = flags.window === undefined ? [end - start] : [start, end]
      const each = nested ? [new Map(labels.map((name, i) => [name, probabilities[i]]))] : probabilities
      const name = label === null ? unclassified : labels[label]
      await rows.write([record.id, ...where, name, score, ...(flags.probabilities ? each : [])])
      report.add(label, span)
    }
    const finish = async () => {
      await rows.end()
      if (reportOutput) {
        const table = await tsvRows(reportOutput, report.columns)
        for (const row of report.rows()) await table.write(row)
        await table.end()
      }
      await closeAll(output, ...(reportOutput ? [reportOutput] : []))
    }
    const abort = async () => {
      await output.abort()
      await reportOutput?.abort()
    }
    await drain(opened, this.progress, take, finish, abort)
  }
}
