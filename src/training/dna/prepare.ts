import { basename } from 'node:path'
import { exitCodes, UserError } from '../../errors.js'
import type { LabelTable } from '../data/labels.js'
import {
  type LabelledFiles,
  origin,
  type Prepared,
  type Pretrained,
  readTables,
  refuseArchitecture,
  start,
} from '../prepare.js'
import { type Dataset, loadDataset } from './dataset.js'
import { hashedRecords } from './read.js'
import { completeSettings } from './settings.js'
import { classifierSpec, withClassHead } from './spec.js'

/** A labelled set with the sums of the files that it was read from. */
interface Loaded extends Dataset {
  sums: { data_sha256: string; labels_sha256: string }
}

/**
 * Reads the data and makes the model to start from: a fresh one, or `from` (`start`). `given`: the
 * settings that were given. `freeze`: which weights are frozen. `note` takes warnings. Errors: 2 settings, 65 and 66
 * data.
 */
export async function prepareDna(
  files: { train: LabelledFiles; valid: LabelledFiles | null },
  given: Record<string, unknown>,
  from: Pretrained | null,
  freeze: string,
  note: (line: string) => void,
): Promise<Prepared> {
  const settings = completeSettings(given)
  if (from) refuseArchitecture(given)
  const flatten = settings.pool === 'flatten'
  const tables = await readTables(files)
  const train = await load(files.train, tables.train, null, flatten ? 'first' : null, note)
  const { classes } = train
  if (classes.length < 2)
    throw new UserError(`${files.train.labels}: one label (${classes[0]}), expected two or more`, exitCodes.data)
  const loadValid = async ({ data, labels }: LabelledFiles, table: LabelTable) =>
    data === files.train.data && labels === files.train.labels
      ? train
      : await load({ data, labels }, table, classes, flatten ? train.longest : null, note)
  const valid = files.valid && tables.valid && (await loadValid(files.valid, tables.valid))
  const spec = from ? withClassHead(from.spec, classes, train, settings) : classifierSpec(settings, classes, train)
  const describe = ({ data, labels }: LabelledFiles, { ids, sums }: Loaded) => ({
    data: basename(data),
    labels: basename(labels),
    ...sums,
    records: ids.length,
  })
  const data = {
    train: describe(files.train, train),
    ...(files.valid && valid ? { valid: describe(files.valid, valid) } : {}),
  }
  const provenance = { data, ...origin(from, settings) }
  return { spec, ...start(spec, settings, from, freeze), settings, train, valid, provenance }
}

async function load(
  { data }: LabelledFiles,
  table: LabelTable,
  classes: string[] | null,
  length: number | 'first' | null,
  note: (line: string) => void,
): Promise<Loaded> {
  const { records, sha256 } = hashedRecords(data, note)
  const set = await loadDataset(records, table, classes, length, note)
  return { ...set, sums: { data_sha256: sha256(), labels_sha256: table.sha256 } }
}
