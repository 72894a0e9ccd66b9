import { basename } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { weightOf, widened } from '../backends/weight.js'
import { isMirrored } from '../checkpoints/caduceus-ps.js'
import { checkSpec } from '../checkpoints/spec-schema.js'
import { weightShapes } from '../checkpoints/weight-shapes.js'
import { exitCodes, UserError } from '../errors.js'
import { readWhole } from '../input/bytes.js'
import type { Weights } from '../layers/params.js'
import type { HeadSpec, ModelSpec } from '../spec.js'
import type { Data } from './data/labelled-set.js'
import { LabelTable } from './data/labels.js'
import { initialise, initialiseHead } from './initialise.js'
import { checkRates, trainableNames } from './parts.js'
import { bodyKeys, type TrainSettings, usage } from './settings.js'

/** What to learn from, or to choose by: a file of DNA or a folder of audio, and the table of labels or texts. */
export interface LabelledFiles {
  data: string
  labels: string
}

/** The tables of both sets; one that is named for both is read once. `silence` as in `LabelTable.read`. */
export async function readTables(
  { train, valid }: { train: LabelledFiles; valid: LabelledFiles | null },
  { silence = false } = {},
): Promise<{ train: LabelTable; valid: LabelTable | null }> {
  const table = await LabelTable.read(train.labels, { silence })
  if (!valid || valid.labels === train.labels) return { train: table, valid: valid && table }
  return { train: table, valid: await LabelTable.read(valid.labels, { silence }) }
}

export interface Prepared {
  spec: ModelSpec
  weights: Weights
  trainable: string[]
  settings: TrainSettings
  train: Data
  valid: Data | null
  /** Files that go with the model, by their names: those of its tokenizer. */
  companions?: ReadonlyMap<string, Uint8Array>
  /** What the model's config says of the data (file names, sums, records) and of the model that it was made from. */
  provenance: { data: Record<string, unknown>; from?: string; settings?: Record<string, unknown> }
}

export interface Pretrained {
  name: string
  spec: ModelSpec
  weights: Weights
}

/**
 * The weights to start from, and the names of those that learn. `freeze`: which do not. Errors: 2 for parts that the model has not,
 * and for settings whose model could not be opened again.
 */
export function start(
  spec: ModelSpec,
  settings: TrainSettings,
  from: Pretrained | null,
  freeze: string,
): { weights: Weights; trainable: string[] } {
  checkSpec(spec, (what) => usage(`these settings make no model: ${what}`))
  const weights = from ? startedFrom(from, spec, settings.seed) : initialise(spec, settings.seed)
  // All that is read is modality 0: weights of others have no gradient, and nothing but their decay would move them.
  const unread = new Set(weightShapes(spec).flatMap(({ name, modality = 0 }) => (modality > 0 ? [name] : [])))
  const names = [...weights.keys()].filter((name) => !unread.has(name))
  const trainable = trainableNames(names, freeze, spec.blocks.length)
  checkRates(settings, names, trainable)
  return { weights, trainable }
}

/** The settings of a JSON file. Errors: 66 unreadable, 2 no JSON object. */
export async function readSettings(file: string): Promise<Record<string, unknown>> {
  const text = (await readWhole(file)).toString()
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

/** The model that a run starts from, and the settings without those that came with it: as they can be given again. */
export function origin(
  from: Pretrained | null,
  settings: TrainSettings,
): Pick<Prepared['provenance'], 'from' | 'settings'> {
  if (!from) return {}
  const own = Object.entries(settings).filter(([key]) => !bodyKeys.includes(key))
  return { from: basename(from.name), settings: Object.fromEntries(own) }
}

export function refuseArchitecture(given: Record<string, unknown>): void {
  const own = Object.keys(given).find((key) => bodyKeys.includes(key))
  if (own) throw new UserError(`${own} comes with the model of --from and cannot be set`, exitCodes.usage)
}

/** The weights of `from`: with its head where that answers the same from the same rows, otherwise with a new one. */
function startedFrom(from: Pretrained, spec: ModelSpec, seed: number): Weights {
  const { spec: old } = from
  const weights = old.reverse_complement ? ofOneStrand(from) : from.weights
  const head = initialiseHead(spec, seed)
  // A head of another layout may have no bias.
  const fits = [...head].every(([name, { rows, cols }]) => {
    const own = weights.get(name)
    return own ? own.rows === rows && own.cols === cols : name.endsWith('.bias')
  })
  if (fits && isDeepStrictEqual(answersOf(old.head), answersOf(spec.head))) return weights
  return new Map([...[...weights].filter(([name]) => !name.startsWith('head.')), ...head])
}

/** The weights of Caduceus-PS for one strand; its classes are the mean of what they say of both. */
function ofOneStrand({ spec: { d_model: D, head, blocks, reverse_complement: rc }, weights }: Pretrained): Weights {
  const both = weights.get('head.weight')
  if (!rc || !both || head?.kind !== 'classes') return weights
  const from = isMirrored(rc, blocks.length) ? D : 0
  const numbers = widened(both).filter((_, i) => i % (2 * D) >= from && i % (2 * D) < from + D)
  const one = weightOf(
    both.rows,
    D,
    numbers.map((x) => 2 * x),
  )
  return new Map(weights).set('head.weight', one)
}

/** What the weights of a head are made for, without how their logits are decoded or calibrated. */
function answersOf(head: HeadSpec | null): HeadSpec | null {
  if (head?.kind === 'ctc') return { kind: 'ctc', vocabulary: head.vocabulary }
  if (head?.kind !== 'classes') return head
  const { temperature: _, ...answers } = head
  return answers
}
