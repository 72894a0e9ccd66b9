import * as v from 'valibot'
import { epsilon, width } from '../layers/layer-schemas.js'
import { isAttention } from '../layers/mixers/attention.js'
import { isAnyMamba } from '../layers/mixers/any-mamba.js'
import type { Weights } from '../layers/params.js'
import type { BlockSpec, ModelSpec } from '../spec.js'
import { flag, oneOf, openRecord, whole } from '../text/schema.js'
import { attentionSpec, attentionWeights, swigluSpec, swigluWeights } from './hybrid-tensors.js'
import type { Layout } from './layout.js'
import { countLayers, isTied, mambaSpec, mambaWeights, normWeights } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'

const embedding = 'model.embed_tokens.weight'
const layer = (i: number) => `model.layers.${i}.`

/** What of config.json is read, with the defaults of the official code. */
const keys = openRecord({
  hidden_act: v.nullish(oneOf('silu'), 'silu'),
  num_hidden_layers: v.nullish(whole(0)),
  num_attention_heads: v.nullish(width, 32),
  num_experts_per_tok: v.nullish(whole(1, 4096), 2),
  max_position_embeddings: v.nullish(whole(1, 2 ** 31 - 1), 262_144),
  rms_norm_eps: v.nullish(epsilon, 1e-6),
  mamba_conv_bias: v.nullish(flag, true),
  mamba_proj_bias: v.nullish(flag, false),
})

type Keys = v.InferOutput<typeof keys>

/** Hugging Face transformers `JambaForCausalLM`: Mamba with weighted norms, attention without positions, experts in some of the layers. */
export const jamba: Layout = {
  name: 'transformers Jamba',
  recognise: (config) => config.values.model_type === 'jamba',

  async spec(config, tensors): Promise<ModelSpec> {
    const given = config.as(keys)
    const [vocab_size, d_model] = tensors.shape(embedding, 2)
    const n = countLayers(tensors, 'model.layers.', { num_hidden_layers: given.num_hidden_layers })
    return {
      input: { kind: 'tokens', tokenizer: 'ids', vocab_size },
      d_embed: d_model,
      stem: [],
      d_model,
      norm: { kind: 'rms', eps: given.rms_norm_eps },
      blocks: Array.from({ length: n }, (_, i) => blockSpec(tensors, layer(i), given)),
      head: { kind: 'tokens', tied: await isTied(tensors, 'lm_head.weight', embedding) },
      strand: 'stranded',
      hidden_states: { embedding: true, blocks: 'residual', listed: n - 1, final: true },
    }
  },

  async weights(tensors, spec, config): Promise<Weights> {
    const { d_model: D, norm } = spec
    const { mamba_conv_bias, mamba_proj_bias } = config.as(keys)
    const biases = { linear: mamba_proj_bias, conv: mamba_conv_bias }
    const [V] = tensors.shape(embedding, 2)
    const weights: Weights = new Map()
    weights.set('embedding.weight', await tensors.weight(embedding, [V, D]))
    for (const [i, { mixer, mlp, moe }] of spec.blocks.entries()) {
      const [from, to] = [layer(i), `blocks.${i}.`]
      const ofNorm = (name: string, as: string) =>
        normWeights(tensors, weights, { from: from + name, to: to + as }, norm, D)
      await ofNorm('input_layernorm', 'norm')
      const within = (part: string) => ({ from: `${from}${part}.`, to: `${to}mixer.` })
      if (isAnyMamba(mixer)) await mambaWeights(tensors, weights, within('mamba'), mixer, D, biases)
      if (isAttention(mixer)) await attentionWeights(tensors, weights, within('self_attn'), mixer, D)
      await ofNorm('pre_ff_layernorm', 'norm2')
      const inside = `${from}feed_forward.`
      if (mlp) await swigluWeights(tensors, weights, { from: inside, to: `${to}mlp.` }, mlp.d_hidden, D)
      if (!moe) continue
      weights.set(`${to}moe.router.weight`, await tensors.weight(`${inside}router.weight`, [moe.experts, D]))
      for (let e = 0; e < moe.experts; e++)
        await swigluWeights(tensors, weights, { from: `${inside}experts.${e}.`, to: `${to}moe.${e}.` }, moe.d_hidden, D)
    }
    await normWeights(tensors, weights, { from: 'model.final_layernorm', to: 'norm_f' }, norm, D)
    if (spec.head?.kind === 'tokens' && !spec.head.tied)
      weights.set('head.weight', await tensors.weight('lm_head.weight', [V, D]))
    return weights
  },
}

/** Which layers attend and which have experts is told by their tensors. */
function blockSpec(tensors: Tensors, from: string, given: Keys): BlockSpec {
  const { num_attention_heads, max_position_embeddings, num_experts_per_tok: active, rms_norm_eps } = given
  const attends = tensors.has(`${from}self_attn.q_proj.weight`)
  const mixer = attends
    ? { ...attentionSpec(tensors, `${from}self_attn.`, num_attention_heads), max_length: max_position_embeddings }
    : { ...mambaSpec(tensors, `${from}mamba.`), bcdt_norm_eps: rms_norm_eps }
  const router = `${from}feed_forward.router.weight`
  if (!tensors.has(router)) return { mixer, mlp: swigluSpec(tensors, `${from}feed_forward.`) }
  const [experts] = tensors.shape(router, 2)
  const { d_hidden } = swigluSpec(tensors, `${from}feed_forward.experts.0.`)
  return { mixer, moe: { experts, active, d_hidden, over: 'all' } }
}
