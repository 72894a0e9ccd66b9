import { basename } from 'node:path'
import { tokensPerRow } from '../../engine/footprint.js'
import { exitCodes, UserError } from '../../errors.js'
import type { HeadSpec, LanguageSpec, ModelSpec } from '../../spec.js'
import { languageOf } from '../../tasks/audio/transcribe.js'
import { normaliseTranscript, Vocabulary } from '../../tasks/language/vocabulary.js'
import { ctcRows } from '../ctc.js'
import type { Entry, LabelTable } from '../data/labels.js'
import { countOf, targetOf } from '../data/targets.js'
import {
  type LabelledFiles,
  origin,
  type Prepared,
  type Pretrained,
  readTables,
  refuseArchitecture,
  start,
} from '../prepare.js'
import { loadRecordings } from './load-recordings.js'
import type { Recordings } from './recordings.js'
import { type AudioSettings, completeAudioSettings } from './settings.js'
import { audioSpec } from './spec.js'

/** What the preparation of audio needs besides the files and settings. */
export interface AudioPreparation {
  task: 'transcribe' | 'classify'
  threads: number
  onRead: (count: number, of: number) => void
  note: (line: string) => void
}

/**
 * Reads the recordings and makes the model to start from: a fresh one, or `from` (`start`). Tables
 * name paths below the folder. Errors: 2 settings, 65 and 66 data, 69 a recording that needs ffmpeg where there is
 * none.
 */
export async function prepareAudio(
  files: { train: LabelledFiles; valid: LabelledFiles | null },
  given: Record<string, unknown>,
  from: Pretrained | null,
  freeze: string,
  preparation: AudioPreparation,
): Promise<Prepared> {
  const { task } = preparation
  const settings = completeAudioSettings(given, task)
  if (from) refuseArchitecture(given)
  if (from && from.spec.input.kind !== 'log-mel')
    throw new UserError(`--from ${from.name}: this model does not read audio`, exitCodes.usage)
  const log_mel = from?.spec.input.kind === 'log-mel' ? from.spec.input : settings.log_mel
  const { threads, onRead, note } = preparation
  const tables = await readTables(files, { silence: task === 'transcribe' })
  const entries = await tables.train.recordings(files.train.data, note)
  const { head, encode } =
    task === 'transcribe'
      ? textHead(entries, tables.train.file, settings, from?.spec.head ?? null)
      : classHead(entries, tables.train.file, settings)
  const spec = from ? { ...from.spec, head } : audioSpec(settings, log_mel, head)

  const load = (folder: string, table: LabelTable, all: readonly Entry[], speeds: number[]) => {
    const recordings = all.map((entry) => ({ path: entry.id, target: encode(table, entry) }))
    return loadRecordings(folder, recordings, log_mel, speeds, threads, (n) => onRead(n, recordings.length), note)
  }
  const train = await load(files.train.data, tables.train, entries, settings.speeds)
  const validEntries = files.valid && tables.valid && (await tables.valid.recordings(files.valid.data, note))
  const valid =
    files.valid && tables.valid && validEntries ? await load(files.valid.data, tables.valid, validEntries, [1]) : null
  if (task === 'transcribe') noteTooShort(train, entries, spec, note)

  const describe = ({ data, labels }: LabelledFiles, { sha256 }: LabelTable, recordings: Recordings) => ({
    data: basename(data),
    labels: basename(labels),
    labels_sha256: sha256,
    records: countOf(recordings),
  })
  const data = {
    train: describe(files.train, tables.train, train),
    ...(files.valid && tables.valid && valid ? { valid: describe(files.valid, tables.valid, valid) } : {}),
  }
  const provenance = { data, ...origin(from, settings) }
  return { spec, ...start(spec, settings, from, freeze), settings, train, valid, provenance }
}

interface Target {
  head: HeadSpec
  encode: (table: LabelTable, entry: Entry) => Int32Array
}

/** `old`: the head of the model to start from, whose vocabulary is taken where it can write all of the texts. */
function textHead(
  entries: readonly Entry[],
  file: string,
  { units, ...settings }: AudioSettings,
  old: HeadSpec | null,
): Target {
  const texts = entries.map(({ label }) => label).filter((text) => text !== '')
  if (texts.length === 0) throw new UserError(`${file}: no line with a text`, exitCodes.data)
  const own = Vocabulary.of(texts, units)
  const vocabulary = old?.kind === 'ctc' && own.isWithin(old.vocabulary) ? new Vocabulary(old.vocabulary) : own
  const head: HeadSpec = { kind: 'ctc', vocabulary: vocabulary.entries, ...language(texts, settings) }
  // Too many n-grams are found out now, not by the finished model.
  languageOf(head)
  return {
    head,
    encode: ({ file }, { id, label }) => vocabulary.encode(label, `${file}: ${id}`),
  }
}

function language(
  texts: readonly string[],
  { language: order, language_weight: weight, language_bonus: bonus }: Omit<AudioSettings, 'units'>,
): { language?: LanguageSpec } {
  return order === 0 ? {} : { language: { order, weight, bonus, texts: [...new Set(texts.map(normaliseTranscript))] } }
}

function classHead(entries: readonly Entry[], file: string, { pool }: AudioSettings): Target {
  const labels = [...new Set(entries.map(({ label }) => label))].sort()
  if (labels.length < 2) throw new UserError(`${file}: one label (${labels[0]}), expected two or more`, exitCodes.data)
  return {
    head: { kind: 'classes', labels, pool },
    encode: (table, entry) => Int32Array.of(table.classOf(entry, labels)),
  }
}

/** A text with more tokens than its recording has rows cannot be learned; it is left in, and counts nothing. */
function noteTooShort(
  train: Recordings,
  entries: readonly Entry[],
  spec: ModelSpec,
  note: (line: string) => void,
): void {
  const { offsets } = train.versions[0]
  const tooShort = entries.filter(
    (_, i) => Math.ceil((offsets[i + 1] - offsets[i]) / tokensPerRow(spec)) < ctcRows(targetOf(train, i)),
  )
  if (tooShort.length > 0)
    note(`${tooShort.length} recordings are too short for their text and do not count, the first: ${tooShort[0].id}`)
}
