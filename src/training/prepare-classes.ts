import { basename } from 'node:path'
import { exitCodes, UserError } from '../errors.js'
import type { ModelSpec } from '../spec.js'
import type { Labelled } from './data/labelled.js'
import type { Data } from './data/labelled-set.js'
import type { LabelTable } from './data/labels.js'
import { type LabelledFiles, origin, type Prepared, type Pretrained, readTables, start } from './prepare.js'
import type { TrainSettings } from './settings.js'

/** A labelled set, and the sum of the file that it was read from. */
type Loaded = Data & Labelled & { data_sha256: string }

/**
 * Reads the sets that a classifier of sequences learns from and makes the model to start from: a fresh one, or `from` (`start`).
 * `load` reads a set; `classes`: the labels of the training records (null), and of them alone. `specOf` describes the model. Errors: 2 settings, 65
 * and 66 data.
 */
export async function prepareClasses(
  files: { train: LabelledFiles; valid: LabelledFiles | null },
  { settings, from, freeze }: { settings: TrainSettings; from: Pretrained | null; freeze: string },
  load: (path: string, table: LabelTable, train: Labelled | null) => Promise<Loaded>,
  specOf: (train: Labelled) => ModelSpec,
): Promise<Prepared> {
  const tables = await readTables(files)
  const train = await load(files.train.data, tables.train, null)
  const { classes } = train
  if (classes.length < 2)
    throw new UserError(`${files.train.labels}: one label (${classes[0]}), expected two or more`, exitCodes.data)
  const same = files.valid?.data === files.train.data && files.valid.labels === files.train.labels
  const valid = files.valid && tables.valid && (same ? train : await load(files.valid.data, tables.valid, train))
  const spec = specOf(train)
  const describe = ({ data, labels }: LabelledFiles, { sha256 }: LabelTable, { ids, data_sha256 }: Loaded) => ({
    data: basename(data),
    labels: basename(labels),
    data_sha256,
    labels_sha256: sha256,
    records: ids.length,
  })
  const data = {
    train: describe(files.train, tables.train, train),
    ...(files.valid && tables.valid && valid ? { valid: describe(files.valid, tables.valid, valid) } : {}),
  }
  const provenance = { data, ...origin(from, settings) }
  return { spec, ...start(spec, settings, from, freeze), settings, train, valid, provenance }
}
