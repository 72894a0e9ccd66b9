import { hfSpec, hfWeights } from './hf-mamba.js'
import type { Layout } from './layout.js'

/** Hugging Face transformers `FalconMambaForCausalLM`: Mamba with a weightless RMSNorm over dt, B and C. */
export const falconMamba: Layout = {
  name: 'transformers Falcon-Mamba',
  recognise: (config) => config.values.model_type === 'falcon_mamba',
  spec: (config, tensors) => hfSpec(config, tensors, config.number('mixer_rms_eps', 1e-6)),
  weights: hfWeights,
}
