import { statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { exitCodes, UserError } from '../errors.js'
import type { SequenceRecord } from '../input/dna/records.js'
import { perLabel } from '../output/calls.js'
import { openRows, tableFormats } from '../output/formats.js'
import { abortAll, closeAll, openAll } from '../output/output.js'
import { refuseOverlap } from '../output/overlap.js'
import type { PageHead } from '../output/report/page.js'
import type { Cells } from '../output/rows.js'
import { formatBySuffix } from '../output/suffix.js'
import type { Progress } from '../shell/progress.js'
import type { ModelSpec } from '../spec.js'
import type { Recording } from '../tasks/audio/recordings.js'
import type { Transcribed } from '../tasks/audio/transcribe.js'
import { classesOf, classification, wantClasses } from '../tasks/classify.js'
import type { Strand } from '../tasks/dna/run.js'
import { drain } from '../tasks/drain.js'
import { openRun, openTranscription, type RunFlags, transcribes } from '../tasks/open.js'
import type { Prediction } from '../tasks/predict.js'
import type { Run } from '../tasks/run.js'
import { type Entry, LabelTable } from './data/labels.js'
import { resamples } from './metrics/bootstrap.js'
import { Calls } from './metrics/calls.js'
import { classTables, textTables } from './metrics/tables.js'
import { Transcripts, transcriptColumns } from './metrics/transcripts.js'

/** Flags of `evaluate` as oclif hands them over. */
export interface EvaluateFlags extends RunFlags {
  data: string
  labels: string
  strand?: Strand
  beam?: number
  predictions?: string
  html?: string
  force: boolean
  seed: number
}

/** The figures of a model, as JSON has them and as a table for people. */
export interface Evaluated {
  figures: object
  text: string
}

/** What becomes of the answers of one kind of model. */
interface Measure<Result> {
  columns: readonly string[]
  /** A row of --predictions; null while the record goes on. */
  add(result: Result): Cells | null
  figures(progress: (done: number) => void): Promise<Evaluated & { page(head: PageHead): Promise<string> }>
}

/** Runs a model over labelled records, measures what it says, and writes --predictions and --html. */
export async function evaluate(
  flags: EvaluateFlags,
  /** The folder of it. */
  model: string,
  maker: string,
  progress: Progress,
  note: (line: string) => void,
): Promise<Evaluated> {
  const { data, labels, predictions, html } = flags
  const outputs = Object.entries({ '--predictions': predictions, '--html': html }).flatMap(([role, path]) =>
    path === undefined ? [] : [{ role, path }],
  )
  await refuseOverlap(
    [...outputs, ...(outputs.length > 0 ? [{ role: 'the figures', path: '-' }] : [])],
    [
      { role: '--labels', path: labels },
      { role: '--data', path: data },
    ],
  )
  const isText = await transcribes(model)
  const table = await LabelTable.read(labels, { silence: isText })
  const folder = statSync(data, { throwIfNoEntry: false })?.isDirectory() ? data : null
  const rows = folder === null ? null : await table.recordings(folder, note)
  const files = { inputs: rows === null ? [data] : rows.map(({ id }) => join(data, id)), folders: false, outputs }
  const present = new Set<string>()
  // A recording of a folder is a line of the table, whatever its path is called there; other records have ids.
  const entryOf = (record: SequenceRecord): Entry => {
    if (rows !== null) return rows[(record as Recording).index]
    present.add(record.id)
    return table.entryOf(record)
  }
  const head = {
    maker,
    title: `${basename(flags.model ?? '')} on ${basename(data)}`,
    facts: [
      ['model', flags.model ?? ''],
      ['records', data],
      [isText ? 'texts' : 'labels', labels],
    ] as const,
  }
  const written = { flags, head, progress }
  if (isText) {
    const opened = await openTranscription({ ...flags, model }, files, note)
    return measured(opened, ofTexts(new Transcripts(table.file), entryOf, flags), written)
  }
  const opened = await openRun({ ...flags, model }, files, wantClasses, note)
  if (rows !== null && opened.spec.input.kind !== 'log-mel')
    throw new UserError(`--data ${data}: a folder, but this model reads a file of DNA`, exitCodes.usage)
  const result = await measured(
    opened,
    ofClasses(opened.spec, new Calls(table, classesOf(opened.spec)), entryOf, flags),
    written,
  )
  if (rows === null) table.noteAbsent(present, note)
  return result
}

type EntryOf = (record: SequenceRecord) => Entry

function ofTexts(transcripts: Transcripts, entryOf: EntryOf, { seed }: EvaluateFlags): Measure<Transcribed> {
  return {
    columns: transcriptColumns,
    add: ({ recording, words, last }) => transcripts.add(entryOf(recording), words, last),
    async figures(progress) {
      const figures = await transcripts.figures(seed, progress)
      const page = async (head: PageHead) => {
        const { textPage } = await import('./report/text-page.js')
        return textPage(head, figures, transcripts.finished)
      }
      return { figures, text: textTables(figures), page }
    },
  }
}

function ofClasses(
  spec: ModelSpec,
  calls: Calls,
  entryOf: EntryOf,
  { seed, predictions }: EvaluateFlags,
): Measure<Prediction> {
  const nested = predictionsFormat(predictions) !== 'tsv'
  const each = perLabel<Float64Array>(calls.labels, nested, ['p', 'probabilities'], (values) => values)
  return {
    columns: ['id', 'truth', 'label', 'score', ...each.map(({ name }) => name)],
    add(prediction) {
      const answer = classification(prediction, spec)
      const { span, best, probabilities } = answer
      const entry = entryOf(span.record)
      calls.add(entry, answer)
      const called = [calls.labels[best], probabilities[best], ...each.map(({ cell }) => cell(probabilities))]
      return [entry.id, entry.label, ...called]
    },
    async figures(progress) {
      const figures = await calls.figures(seed, progress)
      const page = async (head: PageHead) => {
        const { classPage } = await import('./report/class-page.js')
        return classPage(head, figures, calls.rankings)
      }
      return { figures, text: classTables(figures), page }
    },
  }
}

const predictionsFormat = (path = '') => formatBySuffix(path, tableFormats)

async function measured<Result>(
  opened: { run: Run<Result> },
  { columns, add, figures }: Measure<Result>,
  { flags, head, progress }: { flags: EvaluateFlags; head: PageHead; progress: Progress },
): Promise<Evaluated> {
  const outputs = await openAll([flags.predictions, flags.html], flags)
  const [predictions, html] = outputs
  const rows = predictions && (await openRows(predictionsFormat(flags.predictions), predictions, columns))
  let evaluated: Evaluated = { figures: {}, text: '' }
  const take = async (result: Result) => {
    const row = add(result)
    if (row !== null) await rows?.write(row)
  }
  const finish = async () => {
    const { page, ...all } = await figures((done) => progress.tick(() => `resampled ${done} of ${resamples} times`))
    evaluated = all
    await rows?.end()
    if (html) await html.write(await page(head))
    await closeAll(...outputs)
  }
  await drain(opened, progress, take, finish, () => abortAll(...outputs))
  return evaluated
}
