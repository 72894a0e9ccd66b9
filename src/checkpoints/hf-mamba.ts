import * as v from 'valibot'
import { epsilon } from '../layers/layer-schemas.js'
import { type AnyMambaSpec, isAnyMamba } from '../layers/mixers/any-mamba.js'
import type { Weights } from '../layers/params.js'
import type { ModelSpec } from '../spec.js'
import { flag, oneOf, openRecord, whole } from '../text/schema.js'
import type { Config } from './config.js'
import { byLastToken, headSpec, headWeights } from './heads.js'
import type { Layout } from './layout.js'
import { countLayers, mambaSpec, mambaWeights, normWeights } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'

/** Hugging Face transformers `MambaForCausalLM`. */
export const hfMamba: Layout = {
  name: 'transformers Mamba',
  recognise: (config) => config.values.model_type === 'mamba',
  spec: (config, tensors) => hfSpec(config, tensors, (prefix) => mambaSpec(tensors, prefix)),
  weights: hfWeights,
}

/** What of config.json is read, with the defaults of the official code. */
export const hfKeys = openRecord({
  hidden_act: v.nullish(oneOf('silu'), 'silu'),
  num_hidden_layers: v.nullish(whole(0)),
  n_layer: v.nullish(whole(0)),
  tie_word_embeddings: v.nullish(flag, true),
  layer_norm_epsilon: v.nullish(epsilon, 1e-5),
  use_bias: v.nullish(flag, false),
  use_conv_bias: v.nullish(flag, true),
})

/** Shared with Falcon-Mamba and Mamba-2, which differ by the mixer, of which `mixerOf` is told the prefix of its names. */
export async function hfSpec(
  config: Config,
  tensors: Tensors,
  mixerOf: (prefix: string) => AnyMambaSpec,
): Promise<ModelSpec> {
  const { num_hidden_layers, n_layer, tie_word_embeddings, layer_norm_epsilon } = config.as(hfKeys)
  const embedding = embeddingName(tensors)
  const [vocab_size, d_model] = tensors.shape(embedding, 2)
  const n = countLayers(tensors, 'backbone.layers.', { num_hidden_layers, n_layer })
  const untied = !tie_word_embeddings && 'tie_word_embeddings'
  const output = { name: 'lm_head.weight', embedding, untied } as const
  const blocks = Array.from({ length: n }, (_, i) => ({ mixer: mixerOf(`backbone.layers.${i}.mixer.`) }))
  return {
    input: { kind: 'tokens', tokenizer: 'ids', vocab_size },
    d_embed: d_model,
    stem: [],
    d_model,
    norm: { kind: 'rms', eps: layer_norm_epsilon },
    blocks,
    head: await headSpec(config, tensors, output, byLastToken),
    strand: 'stranded',
    hidden_states: { embedding: false, blocks: 'residual', listed: n, final: true },
  }
}

export async function hfWeights(tensors: Tensors, spec: ModelSpec, config: Config): Promise<Weights> {
  const { d_model: D, norm } = spec
  const [V] = tensors.shape(embeddingName(tensors), 2)
  const { use_bias, use_conv_bias } = config.as(hfKeys)
  const biases = { linear: use_bias, conv: use_conv_bias }
  const weights: Weights = new Map()
  weights.set('embedding.weight', await tensors.weight(embeddingName(tensors), [V, D]))
  for (const [i, { mixer }] of spec.blocks.entries()) {
    if (!isAnyMamba(mixer)) throw new Error('unreachable: this layout has Mamba mixers only')
    const from = `backbone.layers.${i}`
    await normWeights(tensors, weights, { from: `${from}.norm`, to: `blocks.${i}.norm` }, norm, D)
    await mambaWeights(tensors, weights, { from: `${from}.mixer.`, to: `blocks.${i}.mixer.` }, mixer, D, biases)
  }
  await normWeights(tensors, weights, { from: 'backbone.norm_f', to: 'norm_f' }, norm, D)
  await headWeights(tensors, weights, spec, 'lm_head.weight')
  return weights
}

/** transformers reads the singular of state-spaces, too. */
function embeddingName(tensors: Tensors): string {
  const singular = 'backbone.embedding.weight'
  return tensors.has(singular) ? singular : 'backbone.embeddings.weight'
}
