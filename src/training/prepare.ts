import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { readRecords } from '../input/read.js'
import { wholeRecords } from '../input/records.js'
import { exitCodes, UserError } from '../shell/errors.js'
import type { ModelSpec, Weights } from '../spec.js'
import { classifierSpec, withClassHead } from './architecture.js'
import { type Dataset, LabelTable, loadDataset } from './dataset.js'
import { initialise, initialiseHead } from './initialise.js'
import { architectureKeys, completeSettings, type TrainSettings } from './settings.js'

/** A FASTA or FASTQ file and the table of its labels. */
export interface LabelledFiles {
  data: string
  labels: string
}

export interface Prepared {
  spec: ModelSpec
  weights: Weights
  trainable: string[]
  settings: TrainSettings
  train: Dataset
  valid: Dataset | null
  /** What the model's config tells of the data: file names, sums, records. */
  provenance: { data: Record<string, unknown>; from?: string }
}

export interface Pretrained {
  name: string
  spec: ModelSpec
  weights: Weights
}

/**
 * Reads the data and makes the model to start from: a fresh one, or the body of `from` with a new head. `given`: the
 * settings that were given. `freeze`: which weights keep still. Errors: 2 settings, 65 and 66 data.
 */
export async function prepare(
  files: { train: LabelledFiles; valid: LabelledFiles | null },
  given: Record<string, unknown>,
  from: Pretrained | null,
  freeze: string,
): Promise<Prepared> {
  const settings = completeSettings(given)
  const train = await load(files.train, null, settings)
  const { classes } = train
  if (classes.length < 2)
    throw new UserError(`${files.train.labels}: one label (${classes[0]}), expected two or more`, exitCodes.data)
  const length = settings.pool === 'positions' ? train.longest : null
  const valid = files.valid && (await load(files.valid, { classes, length }, settings))
  const spec = from
    ? withClassHead(from.spec, classes, train.longest, settings)
    : classifierSpec(settings, classes, train.longest)
  if (from) refuseArchitecture(given)
  const weights = from ? withHead(from.weights, spec, settings.seed) : initialise(spec, settings.seed)
  const trainable = trainableNames([...weights.keys()], freeze, spec.blocks.length)
  const describe = async ({ data, labels }: LabelledFiles, { ids }: Dataset) => ({
    data: basename(data),
    data_sha256: await sha256(data),
    labels: basename(labels),
    labels_sha256: await sha256(labels),
    records: ids.length,
  })
  const data = {
    train: await describe(files.train, train),
    ...(files.valid && valid ? { valid: await describe(files.valid, valid) } : {}),
  }
  return {
    spec,
    weights,
    trainable,
    settings,
    train,
    valid,
    provenance: { data, ...(from ? { from: from.name } : {}) },
  }
}

/** The settings of a JSON file. Errors: 66 unreadable, 2 no JSON object. */
export async function readSettings(file: string): Promise<Record<string, unknown>> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`${file}: cannot be read (${error.code})`, exitCodes.noInput)
  })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new UserError(`${file}: ${(error as Error).message}`, exitCodes.usage)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UserError(`${file}: expected a JSON object of training settings`, exitCodes.usage)
  return value as Record<string, unknown>
}

async function load(
  { data, labels }: LabelledFiles,
  known: { classes: string[]; length: number | null } | null,
  { pool }: TrainSettings,
): Promise<Dataset> {
  const table = await LabelTable.read(labels)
  const length = known ? known.length : pool === 'positions' ? 'first' : null
  return loadDataset(wholeRecords(readRecords([data])), table, known?.classes ?? null, length)
}

/** `none`; `body`: all but the head; a number: embedding, stem and that many blocks. */
function trainableNames(names: string[], freeze: string, blocks: number): string[] {
  if (freeze === 'none') return names
  if (freeze === 'body') return names.filter((name) => name.startsWith('head.'))
  const count = Number(freeze)
  if (!/^\d+$/.test(freeze) || count > blocks)
    throw new UserError(
      `--freeze: expected none, body or a number up to ${blocks} (blocks), got '${freeze}'`,
      exitCodes.usage,
    )
  return names.filter((name) => {
    const block = /^blocks\.(\d+)\./.exec(name)
    return block ? Number(block[1]) >= count : !/^(embedding|stem)\./.test(name)
  })
}

function refuseArchitecture(given: Record<string, unknown>): void {
  const own = Object.keys(given).find((key) => architectureKeys.includes(key) && key !== 'pool' && key !== 'strand')
  if (own) throw new UserError(`${own} comes with the model of --from and cannot be set`, exitCodes.usage)
}

function withHead(weights: Weights, spec: ModelSpec, seed: number): Weights {
  const body = [...weights].filter(([name]) => !name.startsWith('head.'))
  return new Map([...body, ...initialiseHead(spec, seed)])
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const block of createReadStream(file)) hash.update(block)
  return hash.digest('hex')
}
