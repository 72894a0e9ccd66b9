import { type LabelledFiles, type Prepared, type Pretrained, refuseArchitecture } from '../prepare.js'
import { prepareClasses } from '../prepare-classes.js'
import { usage } from '../settings.js'
import { loadDataset } from './dataset.js'
import { hashedRecords } from './read.js'
import { completeSettings } from './settings.js'
import { classifierSpec, withClassHead } from './spec.js'

/**
 * Reads the data and makes the classifier of DNA to start from: a fresh one, or `from` (`start`). `given`: the
 * settings that were given. `freeze`: which weights are frozen. `note` takes warnings. Errors: 2 settings and a model that does not
 * read DNA, 65 and 66 data.
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
  if (from && from.spec.input.kind !== 'tokens')
    throw usage(`--from ${from.name}: this model does not read DNA or text`)
  const flatten = settings.pool === 'flatten'
  return prepareClasses(
    files,
    { settings, from, freeze },
    async (path, table, train) => {
      const { records, sha256 } = hashedRecords(path, note)
      const length = flatten ? (train?.longest ?? 'first') : null
      const set = await loadDataset(records, table, train?.classes ?? null, length, note)
      return { ...set, data_sha256: sha256() }
    },
    (train) => (from ? withClassHead(from.spec, train, settings) : classifierSpec(settings, train.classes, train)),
  )
}
