import { dirname } from 'node:path'
import * as v from 'valibot'
import { epsilon } from '../layers/layer-schemas.js'
import { type AnyMambaSpec, isAnyMamba } from '../layers/mixers/any-mamba.js'
import { type BidirectionalSpec, isBidirectional } from '../layers/mixers/bidirectional.js'
import type { Weights } from '../layers/params.js'
import type { BlockSpec, MixerSpec, ModelSpec, TokensInput } from '../spec.js'
import { flag, oneOf, openRecord, whole } from '../text/schema.js'
import { plantCaduceusVocabulary } from '../tokens/plant-caduceus.js'
import {
  headOfBothStrands,
  isMirrored,
  mirrorBlock,
  mirrorFinalNorm,
  mirrorHead,
  silenceReverse,
} from './caduceus-ps.js'
import { broken } from './files.js'
import { headSpec, headWeights } from './heads.js'
import type { Layout } from './layout.js'
import { type Biases, countLayers, isTied, mambaWeights, normWeights, ssmConfig, ssmSpec } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'
import { checkIds } from './tokenizer-files.js'

/** What of config.json is read, with the defaults of the official code. */
const keysSchema = openRecord({
  n_layer: v.nullish(whole(0)),
  rms_norm: v.nullish(flag, true),
  norm_epsilon: v.nullish(epsilon, 1e-5),
  fused_add_norm: v.nullish(flag, true),
  tie_word_embeddings: v.nullish(flag, true),
  bidirectional: v.nullish(flag, true),
  bidirectional_strategy: v.nullish(oneOf('add', 'ew_multiply'), 'add'),
  bidirectional_weight_tie: v.nullish(flag, true),
  // Of classes: an argument of the official code, which configs need not have; that code fails for 'first' and 'last'.
  pooling_strategy: v.nullish(oneOf('mean', 'max'), 'mean'),
  complement_map: v.nullish(v.record(v.string(), whole(0), 'an object'), {}),
  ssm_cfg: ssmConfig,
})

type Keys = v.InferOutput<typeof keysSchema>

/**
 * Caduceus (arXiv 2403.03234), `CaduceusForMaskedLM` and `CaduceusForSequenceClassification`: Ph, a plain bidirectional stack, and PS,
 * equivariant under the reverse complement by running the stack on both strands, which is rewritten as a plain stack (caduceus-ps.ts).
 * Projections that both directions share, and a tied head, may be saved once or twice. With Mamba-2 mixers it is what PlantCAD2 is taken
 * to be: the official code with the one mixer in place of the other.
 */
export const caduceus: Layout = {
  name: 'Caduceus',
  recognise: (config) => config.values.model_type === 'caduceus',

  async spec(config, tensors): Promise<ModelSpec> {
    const keys = config.as(keysSchema)
    const names = namesOf(tensors)
    const [vocab_size, d_model] = tensors.shape(names.embedding, 2)
    const n = countLayers(tensors, layers, { n_layer: keys.n_layer })
    const blocks: BlockSpec[] = []
    for (let i = 0; i < n; i++) blocks.push({ mixer: await mixerSpec(keys, tensors, names, i) })
    const fused = keys.fused_add_norm
    const rc = names.ps ? { complement: await complementMap(keys, tensors, vocab_size), fused } : undefined
    const { tie_word_embeddings, pooling_strategy: pool } = keys
    const output = { ...names, name: names.head, untied: !tie_word_embeddings && 'tie_word_embeddings' } as const
    // All rows are pooled, that of [SEP] too.
    const head = await headSpec(config, tensors, output, { pool, appended: true })
    const tokenizer = tokenizerOf(keys, vocab_size)
    if (tokenizer === 'plantcaduceus') await checkIds(dirname(config.path), plantCaduceusVocabulary)
    return {
      input: { kind: 'tokens', tokenizer, vocab_size },
      d_embed: d_model,
      stem: [],
      d_model,
      norm: { kind: keys.rms_norm ? 'rms' : 'layer', eps: keys.norm_epsilon },
      blocks,
      // A mirrored head reads its columns backwards, so that it is no longer the embedding.
      head: head.kind === 'tokens' && rc && isMirrored(rc, n) ? { ...head, tied: false } : head,
      strand: 'symmetric',
      ...(rc && { reverse_complement: rc }),
      hidden_states: { embedding: true, blocks: 'mixer', listed: n - 1, final: fused },
    }
  },

  async weights(tensors, spec, config): Promise<Weights> {
    const { d_model: D, norm, reverse_complement: rc } = spec
    const names = namesOf(tensors)
    const [V] = tensors.shape(names.embedding, 2)
    const { ssm_cfg, bidirectional_weight_tie: shared } = config.as(keysSchema)
    const biases = { linear: ssm_cfg.bias, conv: ssm_cfg.conv_bias, shared }
    const weights: Weights = new Map()
    weights.set('embedding.weight', await tensors.weight(names.embedding, [V, D]))
    for (const [i, { mixer }] of spec.blocks.entries()) {
      const names_i = { from: `${layers}${i}.${names.norm}`, to: `blocks.${i}.norm` }
      await normWeights(tensors, weights, names_i, norm, D)
      await mixerWeights(
        tensors,
        weights,
        { from: `${layers}${i}.${names.mixer}`, to: `blocks.${i}.mixer.` },
        mixer,
        D,
        biases,
      )
      if (rc && isMirrored(rc, i + 1)) mirrorBlock(weights, i, mixer)
    }
    await normWeights(tensors, weights, { from: names.norm_f, to: 'norm_f' }, norm, D)
    await headWeights(tensors, weights, spec, tensors.has(names.head) ? names.head : names.embedding)
    const mirrored = rc && isMirrored(rc, spec.blocks.length)
    if (mirrored) mirrorFinalNorm(weights)
    if (rc && spec.head?.kind === 'classes') headOfBothStrands(weights)
    else if (mirrored) mirrorHead(weights)
    return weights
  },
}

const layers = 'caduceus.backbone.layers.'
const words = 'caduceus.backbone.embeddings.word_embeddings.'

/** PS wraps the embedding, the mixers and, unless add and norm are fused, the norms. */
function namesOf(tensors: Tensors) {
  const ps = tensors.has(`${words}embedding.weight`)
  const wrappedNorm = tensors.has('caduceus.backbone.norm_f.submodule.weight')
  return {
    ps,
    embedding: ps ? `${words}embedding.weight` : `${words}weight`,
    mixer: ps ? 'mixer.submodule.' : 'mixer.',
    norm: wrappedNorm ? 'norm.submodule' : 'norm',
    norm_f: wrappedNorm ? 'caduceus.backbone.norm_f.submodule' : 'caduceus.backbone.norm_f',
    head: ps ? 'lm_head.lm_head.weight' : 'lm_head.weight',
  }
}

async function mixerSpec(
  keys: Keys,
  tensors: Tensors,
  names: { ps: boolean; mixer: string },
  i: number,
): Promise<AnyMambaSpec | BidirectionalSpec> {
  const prefix = `${layers}${i}.${names.mixer}`
  const mamba = ssmSpec(tensors, `${prefix}mamba_fwd.`, keys.ssm_cfg)
  if (!keys.bidirectional) {
    const mirrored = names.ps && isMirrored({ fused: keys.fused_add_norm }, i + 1)
    // Mirrored, it reads from right to left: a bidirectional mixer with one silent direction.
    return mirrored ? { kind: 'bidirectional', mamba, combine: 'add', tied: false } : mamba
  }
  const untied = !keys.bidirectional_weight_tie && 'bidirectional_weight_tie'
  let tied = true
  for (const name of ['in_proj.weight', 'in_proj.bias', 'out_proj.weight', 'out_proj.bias']) {
    const [forward, reverse] = [`${prefix}mamba_fwd.${name}`, `${prefix}mamba_rev.${name}`]
    tied = (await isTied(tensors, reverse, forward, untied)) && tied
  }
  return { kind: 'bidirectional', mamba, combine: keys.bidirectional_strategy === 'add' ? 'add' : 'multiply', tied }
}

async function mixerWeights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: { from: string; to: string },
  mixer: MixerSpec,
  D: number,
  biases: Biases & { shared: boolean },
): Promise<void> {
  const forward = `${from}mamba_fwd.`
  if (isAnyMamba(mixer)) return mambaWeights(tensors, weights, { from: forward, to }, mixer, D, biases)
  if (!isBidirectional(mixer)) throw new Error('unreachable: this layout has Mamba mixers only')
  await mambaWeights(tensors, weights, { from: forward, to: `${to}forward.` }, mixer.mamba, D, biases)
  const reverse = `${from}mamba_rev.`
  if (!tensors.has(`${reverse}A_log`)) return silenceReverse(weights, to)
  await mambaWeights(tensors, weights, { from: reverse, to: `${to}reverse.` }, mixer.mamba, D, biases, !mixer.tied)
}

/** complement_map of the file, else of the config (there without the rows that pad the vocabulary). */
async function complementMap({ complement_map: said }: Keys, tensors: Tensors, V: number): Promise<number[]> {
  const [embedding, head] = [`${words}complement_map`, 'lm_head.complement_map']
  let map = Array.from({ length: V }, (_, id) => said[id] ?? id)
  if (tensors.has(embedding)) map = [...(await tensors.integers(embedding, [V]))]
  if (tensors.has(head)) {
    const other = await tensors.integers(head, [V])
    if (other.some((id, i) => id !== map[i])) throw tensors.broken(head, `differs from ${embedding}`)
  }
  const wrong = map.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= V)
  if (wrong >= 0)
    throw broken(tensors.path, `complement_map takes id ${wrong} to ${map[wrong]}, expected 0 to ${V - 1}`)
  return map
}

/**
 * By the vocabulary and what it takes for complements: the Caduceus alphabet has A C G T N at 7 to 11, that of PlantCaduceus A C G T at 3
 * to 6. Other models use the layout too.
 */
function tokenizerOf({ complement_map: map }: Keys, vocab: number): TokensInput['tokenizer'] {
  if (vocab >= 12 && vocab <= 16 && (map[7] ?? 10) === 10 && (map[8] ?? 9) === 9) return 'caduceus'
  if (vocab >= 7 && vocab <= 8 && map[3] === 6 && map[4] === 5) return 'plantcaduceus'
  return 'ids'
}
