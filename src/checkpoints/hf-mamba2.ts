import * as v from 'valibot'
import { epsilon } from '../layers/layer-schemas.js'
import { openRecord, whole } from '../text/schema.js'
import { hfSpec, hfWeights } from './hf-mamba.js'
import type { Layout } from './layout.js'
import { dtLimit, mamba2Spec } from './mamba-tensors.js'

/** What of config.json the mixer is read by, with the defaults of the official code. */
const keys = openRecord({
  n_groups: v.nullish(whole(1), 8),
  time_step_limit: v.nullish(dtLimit, [0, Number.POSITIVE_INFINITY]),
  layer_norm_epsilon: v.nullish(epsilon, 1e-5),
})

/** Hugging Face transformers `Mamba2ForCausalLM`: its gated norm is one over all channels, whatever the groups. */
export const hfMamba2: Layout = {
  name: 'transformers Mamba-2',
  recognise: (config) => config.values.model_type === 'mamba2',
  spec: (config, tensors) => {
    const { n_groups: groups, time_step_limit: limit, layer_norm_epsilon: eps } = config.as(keys)
    const norm = { eps, groups: 1, before_gate: false }
    return hfSpec(config, tensors, (prefix) => mamba2Spec(tensors, prefix, { groups, limit, norm }))
  },
  weights: hfWeights,
}
