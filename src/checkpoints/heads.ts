import * as v from 'valibot'
import type { Weights } from '../layers/params.js'
import type { ClassesHead, HeadSpec, ModelSpec } from '../spec.js'
import { inWords, openRecord, text } from '../text/schema.js'
import type { Config } from './config.js'
import { broken } from './files.js'
import { isTied } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'

/** What the heads of public checkpoints have in common: one of tokens, which may be the embedding, or, in its place, one of classes. */

const score = 'score.weight'

/** The keys of transformers about classes. */
const classKeys = openRecord({
  id2label: v.nullish(v.record(v.string(), text(1000), 'an object')),
  problem_type: v.nullish(
    v.message(v.literal('single_label_classification'), 'single_label_classification: one label of several'),
  ),
})

/** Where the output matrix is, and the embedding that it may be; `untied`: see `isTied`. */
interface OutputMatrix {
  name: string
  embedding: string
  untied?: string | false
}

/** The head of a checkpoint: of classes, which are told as `classes` says, where it has their weights. Errors: 69. */
export async function headSpec(
  config: Config,
  tensors: Tensors,
  { name, embedding, untied }: OutputMatrix,
  classes: Pick<ClassesHead, 'pool' | 'appended'>,
): Promise<HeadSpec> {
  if (tensors.has(score)) return { kind: 'classes', labels: labelsOf(config, tensors), ...classes }
  return { kind: 'tokens', tied: await isTied(tensors, name, embedding, untied) }
}

/** What transformers has for all of its causal models: classes are told by the last token. */
export const byLastToken = { pool: 'last' } as const

/** As many as the weights have rows, named by the config or, as transformers names them, LABEL_0 and so on. */
function labelsOf(config: Config, tensors: Tensors): string[] {
  const { id2label } = config.as(classKeys)
  const [n] = tensors.shape(score, 2)
  if (n === 1) throw tensors.broken(score, 'has 1 row, which gives a number and no class: expected 2 or more')
  const ids = Array.from({ length: n }, (_, i) => `${i}`)
  if (!id2label) return ids.map((id) => `LABEL_${id}`)
  const named = Object.keys(id2label)
  if (named.length !== n || ids.some((id) => !named.includes(id)))
    throw broken(config.path, `id2label is about ${inWords(named)}, expected 0 to ${n - 1}, the rows of ${score}`)
  return ids.map((id) => id2label[id])
}

/** The weights of a head, by the name of the output matrix where it is one of tokens. */
export async function headWeights(
  tensors: Tensors,
  weights: Weights,
  { head, d_model: D, input }: ModelSpec,
  name: string,
): Promise<void> {
  if (head?.kind === 'classes') weights.set('head.weight', await tensors.weight(score, [head.labels.length, D]))
  if (head?.kind === 'tokens' && !head.tied && input.kind === 'tokens')
    weights.set('head.weight', await tensors.weight(name, [input.vocab_size, D]))
}
