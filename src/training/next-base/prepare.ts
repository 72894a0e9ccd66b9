import { basename } from 'node:path'
import { isCausal } from '../../layers/mixers/registry.js'
import type { ModelSpec } from '../../spec.js'
import { body } from '../architecture.js'
import { hashedRecords } from '../dna/read.js'
import { origin, type Prepared, type Pretrained, refuseArchitecture, start } from '../prepare.js'
import { usage } from '../settings.js'
import { completeNextBase, type NextBaseSettings } from './settings.js'
import { loadWindows } from './windows.js'

/**
 * Reads genomes and makes the model to start from: a fresh one, or `from` as it is. `note` takes warnings. Errors: 2
 * settings and a model that does not predict, 65 and 66 data.
 */
export async function prepareNextBase(
  files: { train: string; valid: string | null },
  given: Record<string, unknown>,
  from: Pretrained | null,
  freeze: string,
  note: (line: string) => void,
): Promise<Prepared> {
  const settings = completeNextBase(given)
  if (from) refuseArchitecture(given)
  const spec = from ? { ...predicting(from), strand: settings.strand } : nextBaseSpec(settings)
  const train = await load(files.train, settings.window, note)
  const valid = files.valid === null ? null : await load(files.valid, settings.window, note)
  const data = { train: train.description, ...(valid ? { valid: valid.description } : {}) }
  const provenance = { data, ...origin(from, settings) }
  return {
    spec,
    ...start(spec, settings, from, freeze),
    settings,
    train: train.windows,
    valid: valid?.windows ?? null,
    provenance,
  }
}

function nextBaseSpec(settings: NextBaseSettings): ModelSpec {
  return {
    input: { kind: 'tokens', tokenizer: 'dna', vocab_size: 5 },
    d_embed: settings.d_model,
    ...body(settings),
    head: { kind: 'tokens', tied: true },
    strand: settings.strand,
  }
}

/** The spec of a model with a head for the next base. Errors: 2 for a model that cannot have one. */
function predicting({ name, spec }: Pretrained): ModelSpec {
  const { input, stem, d_embed, d_model } = spec
  if (input.kind !== 'tokens' || input.tokenizer === 'ids')
    throw usage(`--from ${name}: this model does not read bases`)
  if (!isCausal(spec)) throw usage(`--from ${name}: this model reads both ways, and would see the base to predict`)
  if (input.tokenizer !== 'dna') throw usage(`--from ${name}: this model has another alphabet than the bases`)
  if (stem.length > 0 || d_embed !== d_model)
    throw usage(`--from ${name}: this model has no row of its own for each base`)
  const { trained_length: _, trained_shortest: __, ...body } = spec
  return { ...body, head: { kind: 'tokens', tied: true } }
}

async function load(path: string, window: number, note: (line: string) => void) {
  const source = hashedRecords(path, note)
  const windows = await loadWindows(source.file, source.records, window)
  const { records, bases } = windows
  return { windows, description: { data: basename(path), data_sha256: source.sha256(), records, bases } }
}
