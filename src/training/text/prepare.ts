import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readTokenizer, tokenizerFiles } from '../../checkpoints/tokenizer-files.js'
import { readWhole } from '../../input/bytes.js'
import { record } from '../../text/schema.js'
import { classHead } from '../architecture.js'
import { type LabelledFiles, type Prepared, type Pretrained, refuseArchitecture } from '../prepare.js'
import { prepareClasses } from '../prepare-classes.js'
import { classMetric, common, complete, usage } from '../settings.js'
import { hashedTexts } from './read.js'
import { loadTexts } from './texts.js'

const schema = record({ ...common, metric: classMetric })

/**
 * Reads texts and makes the classifier to start from: the body of `from`, which reads text by the tokenizer beside it, and a head. The tokenizer goes
 * with the model. Parameters: as of `prepareDna`. Errors: 2 settings, 65 and 66 data, 69 a tokenizer that is missing or does not fit.
 */
export async function prepareText(
  files: { train: LabelledFiles; valid: LabelledFiles | null },
  given: Record<string, unknown>,
  from: Pretrained & { folder: string },
  freeze: string,
  note: (line: string) => void,
): Promise<Prepared> {
  const settings = complete(schema, given)
  refuseArchitecture(given)
  if (settings.pool === 'flatten') throw usage("the pooling 'flatten' is for records of one length")
  const tokenizer = await readTokenizer(from.folder, from.spec)
  const { reverse_complement: _, ...body } = from.spec
  const prepared = await prepareClasses(
    files,
    { settings, from, freeze },
    async (path, table, train) => {
      const { texts, sha256 } = hashedTexts(path, tokenizer, note)
      return { ...(await loadTexts(texts, table, train?.classes ?? null, note)), data_sha256: sha256() }
    },
    ({ classes }) => ({ ...body, head: classHead(classes, settings.pool, 0, body.head), strand: 'stranded' }),
  )
  return { ...prepared, companions: await readCompanions(from.folder) }
}

/** The files of the tokenizer, by their names. */
async function readCompanions(folder: string): Promise<Map<string, Uint8Array>> {
  const companions = new Map<string, Uint8Array>()
  for (const name of tokenizerFiles) {
    const path = join(folder, name)
    if (existsSync(path)) companions.set(name, await readWhole(path))
  }
  return companions
}
