import * as v from 'valibot'
import { epsilon } from '../layers/layer-schemas.js'
import { isAnyMamba } from '../layers/mixers/any-mamba.js'
import { isAttention } from '../layers/mixers/attention.js'
import type { BlockSpec } from '../spec.js'
import { openRecord, whole } from '../text/schema.js'
import {
  attentionSpec,
  attentionWeights,
  hybridKeys,
  hybridSpec,
  hybridWeights,
  mostPositions,
  swigluSpec,
  swigluWeights,
} from './hybrid-tensors.js'
import type { Layout } from './layout.js'
import { mambaSpec, mambaWeights } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'

/** What of config.json is read, with the defaults of the official code. */
const keys = openRecord({
  ...hybridKeys,
  num_experts_per_tok: v.nullish(whole(1, 4096), 2),
  max_position_embeddings: v.nullish(mostPositions, 262_144),
  rms_norm_eps: v.nullish(epsilon, 1e-6),
})

type Keys = v.InferOutput<typeof keys>

/** Hugging Face transformers `JambaForCausalLM`: Mamba with weighted norms, attention without positions, experts in some of the layers. */
export const jamba: Layout = {
  name: 'transformers Jamba',
  recognise: (config) => config.values.model_type === 'jamba',

  spec: (config, tensors) => {
    const given = config.as(keys)
    const { num_hidden_layers, rms_norm_eps: eps } = given
    return hybridSpec(tensors, { num_hidden_layers, eps, block: (from) => blockSpec(tensors, from, given) })
  },

  weights: (tensors, spec, config) => {
    const { mamba_conv_bias, mamba_proj_bias } = config.as(keys)
    const biases = { linear: mamba_proj_bias, conv: mamba_conv_bias }
    const names = { norm2: 'pre_ff_layernorm', final: 'model.final_layernorm' }
    return hybridWeights(tensors, spec, names, async (weights, { from, to }, { mixer, mlp, moe }, D) => {
      const within = (part: string) => ({ from: `${from}${part}.`, to: `${to}mixer.` })
      if (isAnyMamba(mixer)) await mambaWeights(tensors, weights, within('mamba'), mixer, D, biases)
      if (isAttention(mixer)) await attentionWeights(tensors, weights, within('self_attn'), mixer, D)
      const inside = `${from}feed_forward.`
      if (mlp) await swigluWeights(tensors, weights, { from: inside, to: `${to}mlp.` }, mlp.d_hidden, D)
      if (!moe) return
      weights.set(`${to}moe.router.weight`, await tensors.weight(`${inside}router.weight`, [moe.experts, D]))
      for (let e = 0; e < moe.experts; e++) {
        const expert = { from: `${inside}experts.${e}.`, to: `${to}moe.${e}.` }
        await swigluWeights(tensors, weights, expert, moe.d_hidden, D)
      }
    })
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
