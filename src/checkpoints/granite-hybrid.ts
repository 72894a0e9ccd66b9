import * as v from 'valibot'
import { rowsOf } from '../backends/weight.js'
import { multiplier } from '../layers/layer-schemas.js'
import type { BlockSpec } from '../spec.js'
import { openRecord, positive, text, whole } from '../text/schema.js'
import {
  attentionSpec,
  factor,
  hybridKeys,
  hybridSpec,
  hybridWeights,
  mambaKeys,
  mixerWeights,
  upThenGate,
} from './hybrid-tensors.js'
import type { Layout } from './layout.js'
import { mamba2Spec } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'

/** What of config.json is read, with the defaults of the official code. */
const keys = openRecord({
  ...hybridKeys({ max_position_embeddings: 2048, rms_norm_eps: 1e-6 }),
  ...mambaKeys,
  num_experts_per_tok: v.nullish(whole(0, 4096), 2),
  position_embedding_type: v.nullish(text(100)),
  rope_theta: v.nullish(positive(1e15), 10_000),
  embedding_multiplier: v.nullish(multiplier, 1),
  residual_multiplier: v.nullish(multiplier, 1),
  attention_multiplier: v.nullish(multiplier, 1),
  logits_scaling: v.nullish(multiplier, 1),
})

type Keys = v.InferOutput<typeof keys>

/** Hugging Face transformers `GraniteMoeHybridForCausalLM`: Mamba-2 and attention, an MLP that all rows share and perhaps experts beside it. */
export const graniteHybrid: Layout = {
  name: 'transformers Granite hybrid',
  recognise: (config) => config.values.model_type === 'granitemoehybrid',

  spec: (config, tensors) => {
    const given = config.as(keys)
    const block = (from: string) => blockSpec(tensors, from, given)
    return hybridSpec(config, tensors, given, block, 1 / given.logits_scaling)
  },

  weights: (tensors, spec, config) => {
    const given = config.as(keys)
    const names = { norm2: 'post_attention_layernorm', final: 'model.norm' }
    return hybridWeights(tensors, spec, names, async (weights, { from, to }, { mixer, mlp, moe }, D) => {
      await mixerWeights(tensors, weights, { from, to: `${to}mixer.` }, mixer, D, given)
      if (mlp) {
        const [inside, H] = [`${from}shared_mlp.`, mlp.d_hidden]
        weights.set(`${to}mlp.fc1.weight`, upThenGate(await tensors.weight(`${inside}input_linear.weight`, [2 * H, D])))
        weights.set(`${to}mlp.fc2.weight`, await tensors.weight(`${inside}output_linear.weight`, [D, H]))
      }
      if (!moe) return
      const [inside, X, H] = [`${from}block_sparse_moe.`, moe.experts, moe.d_hidden]
      weights.set(`${to}moe.router.weight`, await tensors.weight(`${inside}router.layer.weight`, [X, D]))
      const first = await tensors.weight(`${inside}input_linear.weight`, [X, 2 * H, D])
      const second = await tensors.weight(`${inside}output_linear.weight`, [X, D, H])
      for (let e = 0; e < X; e++) {
        weights.set(`${to}moe.${e}.fc1.weight`, upThenGate(rowsOf(first, e * 2 * H, (e + 1) * 2 * H)))
        weights.set(`${to}moe.${e}.fc2.weight`, rowsOf(second, e * D, (e + 1) * D))
      }
    })
  },
}

/** Which layers attend and whether there are experts is told by the tensors. */
function blockSpec(tensors: Tensors, from: string, given: Keys): BlockSpec {
  const attends = tensors.has(`${from}self_attn.q_proj.weight`)
  const norm = { eps: given.rms_norm_eps, groups: 1, before_gate: false }
  const limit: [number, number] = [0, Number.POSITIVE_INFINITY]
  const mixer = attends
    ? {
        ...attentionSpec(tensors, `${from}self_attn.`, given.num_attention_heads),
        scale: given.attention_multiplier,
        max_length: given.max_position_embeddings,
        ...(given.position_embedding_type === 'rope' && { rope_theta: given.rope_theta }),
      }
    : mamba2Spec(tensors, `${from}mamba.`, { groups: given.mamba_n_groups, limit, norm })
  const router = `${from}block_sparse_moe.router.layer.weight`
  const halves = (name: string, rank: number) => tensors.shape(name, rank)[rank - 2] / 2
  return {
    mixer,
    mlp: { d_hidden: halves(`${from}shared_mlp.input_linear.weight`, 2) },
    ...(tensors.has(router) && {
      moe: {
        experts: tensors.shape(router, 2)[0],
        active: given.num_experts_per_tok,
        d_hidden: halves(`${from}block_sparse_moe.input_linear.weight`, 3),
        over: 'active' as const,
      },
    }),
    ...factor('residual_multiplier', given.residual_multiplier),
  }
}
