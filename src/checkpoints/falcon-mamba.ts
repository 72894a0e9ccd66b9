import * as v from 'valibot'
import { epsilon } from '../layers/layer-schemas.js'
import { openRecord } from '../text/schema.js'
import { hfSpec, hfWeights } from './hf-mamba.js'
import type { Layout } from './layout.js'
import { mambaSpec } from './mamba-tensors.js'

const keys = openRecord({ mixer_rms_eps: v.nullish(epsilon, 1e-6) })

/** Hugging Face transformers `FalconMambaForCausalLM`: Mamba with a weightless RMSNorm over dt, B and C. */
export const falconMamba: Layout = {
  name: 'transformers Falcon-Mamba',
  recognise: (config) => config.values.model_type === 'falcon_mamba',
  spec: (config, tensors) => {
    const { mixer_rms_eps } = config.as(keys)
    return hfSpec(config, tensors, (prefix) => ({ ...mambaSpec(tensors, prefix), bcdt_norm_eps: mixer_rms_eps }))
  },
  weights: hfWeights,
}
