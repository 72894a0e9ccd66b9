import { basename } from 'node:path'
import { readRecords } from '../../input/read.js'
import { wholeRecords } from '../../input/records.js'
import { exitCodes, UserError } from '../../shell/errors.js'
import { LabelTable } from '../labels.js'
import {
  type LabelledFiles,
  origin,
  type Prepared,
  type Pretrained,
  refuseArchitecture,
  sha256,
  start,
} from '../prepare.js'
import { type Dataset, loadDataset } from './dataset.js'
import { completeSettings, type DnaSettings } from './settings.js'
import { classifierSpec, withClassHead } from './spec.js'

/**
 * Reads the data and makes the model to start from: a fresh one, or the body of `from` with a new head. `given`: the
 * settings that were given. `freeze`: which weights keep still. Errors: 2 settings, 65 and 66 data.
 */
export async function prepareDna(
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
  const provenance = { data, ...origin(from, settings) }
  return { spec, ...start(spec, settings, from, freeze), settings, train, valid, provenance }
}

async function load(
  { data, labels }: LabelledFiles,
  known: { classes: string[]; length: number | null } | null,
  { pool }: DnaSettings,
): Promise<Dataset> {
  const table = await LabelTable.read(labels)
  const length = known ? known.length : pool === 'positions' ? 'first' : null
  return loadDataset(wholeRecords(readRecords([data])), table, known?.classes ?? null, length)
}
