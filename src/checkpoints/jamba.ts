import * as v from 'valibot'
import type { BlockSpec } from '../spec.js'
import { openRecord, whole } from '../text/schema.js'
import {
  attentionSpec,
  expertsWeights,
  hybridKeys,
  hybridSpec,
  hybridWeights,
  mambaKeys,
  mixerWeights,
  swigluSpec,
  swigluWeights,
} from './hybrid-tensors.js'
import type { Layout } from './layout.js'
import { mambaSpec } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'

/** What of config.json is read, with the defaults of the official code. */
const keys = openRecord({
  ...hybridKeys({ max_position_embeddings: 262_144, rms_norm_eps: 1e-6 }),
  ...mambaKeys,
  num_experts_per_tok: v.nullish(whole(1, 4096), 2),
})

type Keys = v.InferOutput<typeof keys>

/** Hugging Face transformers `JambaForCausalLM`: Mamba with weighted norms, attention without positions, experts in some of the layers. */
export const jamba: Layout = {
  name: 'transformers Jamba',
  recognise: (config) => config.values.model_type === 'jamba',

  spec: (config, tensors) => {
    const given = config.as(keys)
    return hybridSpec(config, tensors, given, (from) => blockSpec(tensors, from, given))
  },

  weights: (tensors, spec, config) => {
    const given = config.as(keys)
    const names = { norm2: 'pre_ff_layernorm', final: 'model.final_layernorm' }
    return hybridWeights(tensors, spec, names, async (weights, { from, to }, { mixer, mlp, moe }, D) => {
      await mixerWeights(tensors, weights, { from, to: `${to}mixer.` }, mixer, D, given)
      const inside = `${from}feed_forward.`
      if (mlp) await swigluWeights(tensors, weights, { from: inside, to: `${to}mlp.` }, mlp.d_hidden, D)
      if (moe) await expertsWeights(tensors, weights, { from: inside, to: `${to}moe.` }, 'router', moe, D)
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
