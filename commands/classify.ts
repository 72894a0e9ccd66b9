import * as Flags from '@oclif/core/flags'
import { exitCodes, UserError } from '../src/errors.js'
import type { Call, CallFormat, CallKind } from '../src/output/calls.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { audioFlags, dnaFlags, format, html, inputs, number, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'
import type { Prediction } from '../src/tasks/predict.js'
import type { Unit } from '../src/tokens/tokenizer.js'

export default class Classify extends LongwaveCommand {
  static override description =
    'Label sequences, sounds or texts with a trained model. Reads FASTA, FASTQ or JSON lines, plain or gzip; with a model that reads audio, WAV, FLAC, MP3, Opus, Vorbis and what ffmpeg reads; with one that reads text, lines or JSON lines of it. Writes one row per record (audio: per file) or per window; --per-record and --merge make rows of windows.'
  static override examples = [
    '<%= config.bin %> classify -m origin fixtures/fragments.fa',
    'zcat reads.fq.gz | <%= config.bin %> classify -m origin --min-score 0.8 -o labels.tsv.gz --report totals.tsv',
    '<%= config.bin %> classify -m origin --window 500 -o calls.bed genome.fna.gz',
    '<%= config.bin %> classify -m origin --window 500 --per-record contigs.fa',
    '<%= config.bin %> classify -m sounds clips/*.wav',
    '<%= config.bin %> classify -m sounds --window 5 --merge -f audacity shore.wav > shore.txt',
  ]
  static override args = { inputs }
  static override flags = {
    model: shared.model,
    output: shared.output,
    force: shared.force,
    spool: shared.spool,
    resume: shared.resume,
    format: format(['tsv', 'jsonl', 'json', 'bed'], ['audacity']),
    probabilities: Flags.boolean({ description: 'add the probability of every label' }),
    'min-score': number({ min: 0, max: 1, description: "below this score the label is 'unclassified'" }),
    'max-n': number({
      min: 0,
      max: 1,
      description: "above this share of N the label of DNA is 'unclassified' [default: 0.5]",
    }),
    report: Flags.string({ helpValue: 'FILE', description: 'also write totals per label to this file' }),
    'per-record': Flags.boolean({ description: 'pool the windows of a record: one row for each record' }),
    merge: Flags.boolean({ description: 'join neighbouring windows of one label: one row for each run of them' }),
    html,
    ...dnaFlags,
    ...audioFlags,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Classify)
    const { classification, labelsOf, Report, wantClasses } = await import('../src/tasks/classify.js')
    const { callerOf, kindOf } = await import('../src/tasks/callers.js')
    const { Doubts } = await import('../src/tasks/doubts.js')
    const { openRun } = await import('../src/tasks/open.js')
    const { drain } = await import('../src/tasks/drain.js')
    const { abortAll, closeAll, openAll } = await import('../src/output/output.js')
    const { callRows } = await import('../src/output/calls.js')
    const { print } = await import('../src/output/print.js')
    const { tsvRows } = await import('../src/output/tsv.js')
    const { unitOf } = await import('../src/tokens/tokenizer.js')

    const kind = kindOf({ ...flags, perRecord: flags['per-record'] })
    const { window, html } = flags
    if (html !== undefined && window === undefined) throw usage('--html draws windows: give their length with --window')
    const outputs = Object.entries({ '-o': flags.output, '--report': flags.report, '--html': html }).flatMap(
      ([role, path]) => (path === undefined ? [] : [{ role, path }]),
    )
    const given = {
      command: { name: 'classify', version: this.config.version },
      inputs: args.inputs,
      folders: true,
      outputs,
    }
    const opened = await openRun(flags, given, wantClasses, (line) => this.note(line))
    const labels = labelsOf(opened.spec)
    const unit = unitOf(opened.spec)
    const dna = unit === 'bases'
    refuseFormat(flags.format, kind, unit, opened.paths.length)
    if (flags['dry-run']) return print(await opened.run.dryRun())
    const files = await openAll([flags.output, flags.report, html], { ...flags, resumed: opened.resume?.resumed })
    const [output, reportOutput, page] = files
    const rows = await callRows(flags.format, output, { kind, dna, labels, probabilities: flags.probabilities })
    const minScore = flags['min-score'] ?? 0
    const report = new Report(labels, unit)
    const windows = { unit, minScore, window: window!, stride: flags.stride } as const
    const track = page && new (await import('../src/tasks/track-page.js')).TrackPage(labels, windows)
    this.progress = await Progress.start(progressStyle(flags, flags.output === '-'))

    const caller = callerOf(kind, minScore, opened.run)
    const write = async (calls: Call[]) => {
      for (const call of calls) {
        await rows.write(call)
        report.add(call)
      }
    }
    const doubts = new Doubts(opened.spec, flags['max-n'])
    const take = async (prediction: Prediction) => {
      const classified = doubts.of(classification(prediction, opened.spec), prediction)
      track?.add(classified)
      await write(caller.push(classified))
    }
    const finish = async () => {
      await write(caller.end())
      await rows.end()
      if (reportOutput) {
        const table = await tsvRows(reportOutput, report.columns)
        for (const row of report.rows()) await table.write(row)
        await table.end()
      }
      const made = { version: this.config.version, model: flags.model ?? '', inputs: opened.paths }
      if (track) await page.write(track.text(made))
      await closeAll(...files)
    }
    const abort = () => abortAll(...files)
    await drain(opened, this.progress, take, finish, abort, () => doubts.counts())
  }
}

/** Errors: 2 for a format that cannot hold these rows. */
function refuseFormat(format: CallFormat, kind: CallKind, unit: Unit, inputs: number): void {
  if (format !== 'bed' && format !== 'audacity') return
  const otherwise = 'or use --format tsv or jsonl'
  const counted = ({ bed: 'bases', audacity: 'seconds' } as const)[format]
  if (counted !== unit) {
    const read = {
      bases: 'DNA: use --format bed',
      seconds: 'audio: use --format audacity',
      tokens: 'text: use --format jsonl',
    }
    throw usage(`${format} counts ${counted}, but this model reads ${read[unit]} or tsv`)
  }
  if (kind === 'record') throw usage(`${format} holds windows: give their length with --window, ${otherwise}`)
  if (kind === 'pooled record')
    throw usage(`${format} holds windows, not whole records: leave --per-record out, ${otherwise}`)
  if (format === 'audacity' && inputs > 1) throw usage(`audacity holds one recording: name one input, ${otherwise}`)
}

const usage = (text: string) => new UserError(text, exitCodes.usage)
