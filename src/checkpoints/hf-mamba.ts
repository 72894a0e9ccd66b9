import { isMamba } from '../layers/mixers/mamba.js'
import type { ModelSpec, Weights } from '../spec.js'
import type { Config } from './config.js'
import type { Layout } from './layout.js'
import { countLayers, isTied, mambaSpec, mambaWeights, normWeights } from './mamba-tensors.js'
import { broken } from './safetensors.js'
import type { Tensors } from './tensors.js'

/** Hugging Face transformers `MambaForCausalLM`. */
export const hfMamba: Layout = {
  name: 'transformers Mamba',
  recognise: (config) => config.values.model_type === 'mamba',
  spec: (config, tensors) => hfSpec(config, tensors),
  weights: hfWeights,
}

/** Shared with Falcon-Mamba, which differs by one norm inside the mixer. */
export async function hfSpec(config: Config, tensors: Tensors, bcdt_norm_eps?: number): Promise<ModelSpec> {
  const activation = config.text('hidden_act', 'silu')
  if (activation !== 'silu') throw broken(config.path, `hidden_act ${activation} is not supported, expected silu`)
  const embedding = embeddingName(tensors)
  const [vocab_size, d_model] = tensors.shape(embedding, 2)
  const n = countLayers(tensors, 'backbone.layers.', config, ['num_hidden_layers', 'n_layer'])
  const tied = await isTied(tensors, 'lm_head.weight', embedding)
  if (tied && !tensors.has('lm_head.weight') && config.flag('tie_word_embeddings', true) === false) {
    throw tensors.broken('lm_head.weight', 'is missing, though tie_word_embeddings is false')
  }
  const blocks = Array.from({ length: n }, (_, i) => {
    const mixer = mambaSpec(tensors, `backbone.layers.${i}.mixer.`)
    return { mixer: bcdt_norm_eps === undefined ? mixer : { ...mixer, bcdt_norm_eps } }
  })
  return {
    tokenizer: 'ids',
    vocab_size,
    d_embed: d_model,
    stem: [],
    d_model,
    norm: { kind: 'rms', eps: config.number('layer_norm_epsilon', 1e-5) },
    blocks,
    head: { kind: 'tokens', tied },
    strand: 'stranded',
    hidden_states: { embedding: false, blocks: 'residual', listed: n, final: true },
  }
}

export async function hfWeights(tensors: Tensors, spec: ModelSpec, config: Config): Promise<Weights> {
  const { vocab_size: V, d_model: D, norm } = spec
  const biases = { linear: config.flag('use_bias', false), conv: config.flag('use_conv_bias', true) }
  const weights: Weights = new Map()
  weights.set('embedding.weight', await tensors.matrix(embeddingName(tensors), V, D))
  for (const [i, { mixer }] of spec.blocks.entries()) {
    if (!isMamba(mixer)) throw new Error('unreachable: this layout has Mamba mixers only')
    const from = `backbone.layers.${i}`
    await normWeights(tensors, weights, { from: `${from}.norm`, to: `blocks.${i}.norm` }, norm, D)
    await mambaWeights(tensors, weights, { from: `${from}.mixer.`, to: `blocks.${i}.mixer.` }, mixer, D, biases)
  }
  await normWeights(tensors, weights, { from: 'backbone.norm_f', to: 'norm_f' }, norm, D)
  if (spec.head?.kind === 'tokens' && !spec.head.tied) {
    weights.set('head.weight', await tensors.matrix('lm_head.weight', V, D))
  }
  return weights
}

/** transformers reads the singular of state-spaces, too. */
function embeddingName(tensors: Tensors): string {
  const singular = 'backbone.embedding.weight'
  return tensors.has(singular) ? singular : 'backbone.embeddings.weight'
}
