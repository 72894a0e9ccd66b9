import type { Backend } from '../../src/backends/backend.js'
import { weightOf } from '../../src/backends/weight.js'
import { weightShapes } from '../../src/checkpoints/weight-shapes.js'
import { Network } from '../../src/engine/network.js'
import type { AttentionSpec } from '../../src/layers/mixers/attention.js'
import type { BidirectionalSpec } from '../../src/layers/mixers/bidirectional.js'
import type { GatedDeltaSpec } from '../../src/layers/mixers/gated-delta.js'
import type { MambaSpec } from '../../src/layers/mixers/mamba.js'
import type { Mamba2Spec } from '../../src/layers/mixers/mamba2.js'
import type { Mamba3Spec } from '../../src/layers/mixers/mamba3.js'
import type { MixtureOfMambaSpec } from '../../src/layers/mixers/mixture-of-mamba.js'
import type { ParallelSpec } from '../../src/layers/mixers/parallel.js'
import type { RetentionSpec } from '../../src/layers/mixers/retention.js'
import type { S4dSpec } from '../../src/layers/mixers/s4d.js'
import type { S5Spec } from '../../src/layers/mixers/s5.js'
import type { Weights } from '../../src/layers/params.js'
import { uploadWeights } from '../../src/layers/params.js'
import type { BlockSpec, ModelSpec } from '../../src/spec.js'

/** Seeded numbers in [0, 1): mulberry32's mixing steps. */
export function seeded(seed: number): () => number {
  let a = seed
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** A small model with every part that crosses rows, and odd widths; `wide` ones are large enough for ONNX Runtime. */
export function tinySpec(
  mixer:
    | 'mamba'
    | 'add'
    | 'multiply'
    | 'untied'
    | 's4d'
    | 's4'
    | 's5'
    | 'mamba2'
    | 'mamba2 both'
    | 'mamba3'
    | 'mixture'
    | 'attention'
    | 'retention'
    | 'gated-delta',
  stem = false,
  wide = false,
): ModelSpec {
  const d_model = wide ? 37 : 7
  const mamba: MambaSpec = { kind: 'mamba', d_inner: 2 * d_model, d_state: wide ? 8 : 5, dt_rank: 2, d_conv: 4 }
  const both = (
    combine: 'add' | 'multiply',
    tied: boolean,
    of: BidirectionalSpec['mamba'] = mamba,
  ): BidirectionalSpec => ({
    kind: 'bidirectional',
    mamba: of,
    combine,
    tied,
  })
  const s4d: S4dSpec = { kind: 's4d', d_state: wide ? 16 : 6 }
  const s4: S4dSpec = { ...s4d, discretisation: 'bilinear', bidirectional: true }
  const s5: S5Spec = { kind: 's5', d_state: 3, bidirectional: true, gated: true }
  // Heads of 37 channels wide, of 7 narrow.
  const mamba2: Mamba2Spec = {
    kind: 'mamba2',
    d_inner: 2 * d_model,
    headdim: d_model,
    n_groups: wide ? 2 : 1,
    d_state: wide ? 19 : 5,
    d_conv: 4,
    norm: { eps: 1e-5, groups: 2, before_gate: wide },
  }
  const mamba3: Mamba3Spec = {
    ...{ kind: 'mamba3', d_inner: 4 * d_model, headdim: d_model, n_groups: 2, d_state: 5, angles: 2 },
    ...{ least_rate: 1e-4, norm_eps: 1e-5 },
  }
  const mixture: MixtureOfMambaSpec = { kind: 'mixture-of-mamba', modalities: 3, mamba }
  const attention: AttentionSpec = { kind: 'attention', heads: 4, kv_heads: 2, d_head: wide ? 8 : 6, max_length: 600 }
  const retention: RetentionSpec = {
    kind: 'retention',
    heads: 2,
    d_key: wide ? 8 : 4,
    d_value: wide ? 19 : 5,
    norm_eps: 1e-6,
  }
  const gatedDelta: GatedDeltaSpec = {
    kind: 'gated-delta',
    d_inner: wide ? 44 : 20,
    heads: 4,
    key_heads: 2,
    d_key: wide ? 8 : 3,
    d_conv: 4,
    norm_eps: 1e-6,
  }
  const mixers = {
    ...{
      mamba,
      mamba2,
      mamba3,
      mixture,
      s4d,
      s4,
      s5,
      attention,
      retention,
      'gated-delta': gatedDelta,
      'mamba2 both': both('add', true, mamba2),
    },
    ...{ add: both('add', true), multiply: both('multiply', true), untied: both('add', false) },
  }
  const last: BlockSpec = { mixer: mixers[mixer], mlp: { d_hidden: 9 } }
  return {
    input: { kind: 'tokens', tokenizer: 'dna', vocab_size: 5 },
    d_embed: stem ? 3 : d_model,
    stem: stem
      ? [
          { window: 5, stride: 2, d_out: 6 },
          { window: 3, stride: 3, d_out: d_model },
        ]
      : [],
    d_model,
    norm: { kind: mixer === 'untied' ? 'layer' : 'rms', eps: 1e-5 },
    blocks: [{ mixer: mixers[mixer] }, mixer === 'attention' ? sideBySide(mamba, attention) : last],
    head: { kind: 'classes', labels: ['a', 'b', 'c'], pool: 'mean' },
    strand: 'stranded',
    hidden_states: { embedding: false, blocks: 'residual', listed: 2, final: true },
  }
}

/** A block with Mamba beside attention with all its options, and experts, one of all rows, beside an MLP, all of it multiplied. */
const sideBySide = (mamba: MambaSpec, { max_length: _, ...attention }: AttentionSpec): BlockSpec => ({
  mixer: {
    kind: 'parallel',
    mixers: [
      mamba,
      { ...attention, window: 13, rope_theta: 100, rotary: 4, qk_norm_eps: 1e-6, gated: true } as AttentionSpec,
    ],
  } as ParallelSpec,
  mlp: { d_hidden: 9 },
  moe: { experts: 3, active: 2, d_hidden: 5, over: 'active', d_shared: 6 },
  residual_multiplier: 0.5,
})

/** Random weights in the normalised names; A_log and dt bias in the range of trained models. */
export function randomWeights(spec: ModelSpec, seed = 1): Weights {
  const random = seeded(seed)
  const weights: Weights = new Map()
  for (const { name, rows, cols, optional } of weightShapes(spec)) {
    const norm = /norm\w*\.(weight|bias)$/.test(name)
    if (optional && !(norm ? spec.norm?.kind === 'layer' : /(conv|out_proj|head)\.bias$/.test(name))) continue
    const [scale, shift] = rangeOf(name, norm, cols)
    const data = Float32Array.from({ length: rows * cols }, () => (random() * 2 - 1) * scale * 1.7 + shift)
    weights.set(name, weightOf(rows, cols, data))
  }
  return weights
}

function rangeOf(name: string, norm: boolean, cols: number): [scale: number, shift: number] {
  if (norm) return [0.2, name.endsWith('weight') ? 1 : 0]
  if (/dt_(proj\.)?bias$/.test(name)) return [1, -2]
  if (name.endsWith('A_log')) return [1, 0.5]
  if (/log_(dt|step)$/.test(name)) return [0.5, -3]
  if (name.endsWith('log_A_real')) return [0.3, -0.7]
  if (name.endsWith('Lambda')) return [0.4, -0.6]
  if (name.endsWith('A_imag')) return [2, 3]
  if (name.endsWith('.D')) return [0.2, 1]
  if (name.endsWith('.bias')) return [0.1, 0]
  if (name.endsWith('conv.weight')) return [0.5, 0]
  return [name === 'embedding.weight' ? 1 : 1 / Math.sqrt(cols), 0]
}

export function network(backend: Backend, spec: ModelSpec, seed = 1): Network {
  return new Network(backend, spec, uploadWeights(backend, randomWeights(spec, seed)))
}

export function randomIds(length: number, random: () => number): Int32Array {
  return Int32Array.from({ length }, () => Math.floor(random() * 5))
}
