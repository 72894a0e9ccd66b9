import type { Backend, Segments } from '../../src/backends/backend.js'
import { Network } from '../../src/engine/network.js'
import { uploadWeights } from '../../src/layers/params.js'
import type { Matrix, MixerSpec, ModelSpec, Weights } from '../../src/spec.js'

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
export function tinySpec(mixer: 'mamba' | 'add' | 'multiply' | 'untied', stem = false, wide = false): ModelSpec {
  const d_model = wide ? 37 : 7
  const mamba = { kind: 'mamba', d_inner: 2 * d_model, d_state: wide ? 8 : 5, dt_rank: 2, d_conv: 4 } as const
  const mixers: Record<typeof mixer, MixerSpec> = {
    mamba,
    add: { kind: 'bidirectional', mamba, combine: 'add', tied: true },
    multiply: { kind: 'bidirectional', mamba, combine: 'multiply', tied: true },
    untied: { kind: 'bidirectional', mamba, combine: 'add', tied: false },
  }
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
    blocks: [{ mixer: mixers[mixer] }, { mixer: mixers[mixer], mlp: { d_hidden: 9 } }],
    head: { kind: 'classes', labels: ['a', 'b', 'c'], pool: 'mean' },
    strand: 'stranded',
    hidden_states: { embedding: false, blocks: 'residual', listed: 2, final: true },
  }
}

/** Random weights in the normalised names; A_log and dt bias in the range of trained models. */
export function randomWeights(spec: ModelSpec, seed = 1): Weights {
  const random = seeded(seed)
  const weights: Weights = new Map()
  const add = (name: string, rows: number, cols: number, scale = 1 / Math.sqrt(cols), shift = 0) => {
    const data = Float32Array.from({ length: rows * cols }, () => (random() * 2 - 1) * scale * 1.7 + shift)
    weights.set(name, { rows, cols, data } satisfies Matrix)
  }
  if (spec.input.kind === 'tokens') add('embedding.weight', spec.input.vocab_size, spec.d_embed, 1)
  let width = spec.d_embed
  for (const [i, { window, d_out }] of spec.stem.entries()) {
    add(`stem.${i}.weight`, d_out, window * width)
    add(`stem.${i}.bias`, 1, d_out, 0.1)
    width = d_out
  }
  const D = spec.d_model
  for (const [i, { mixer, mlp }] of spec.blocks.entries()) {
    add(`blocks.${i}.norm.weight`, 1, D, 0.2, 1)
    if (spec.norm.kind === 'layer') add(`blocks.${i}.norm.bias`, 1, D, 0.2)
    const directions = mixer.kind === 'mamba' ? [''] : ['forward.', 'reverse.']
    const { d_inner: E, d_state: N, dt_rank: R, d_conv: K } = mixer.kind === 'mamba' ? mixer : mixer.mamba
    for (const direction of directions) {
      const prefix = `blocks.${i}.mixer.${direction}`
      if (!(mixer.kind === 'bidirectional' && mixer.tied && direction === 'reverse.')) {
        add(`${prefix}in_proj.weight`, 2 * E, D)
        add(`${prefix}out_proj.weight`, D, E)
        add(`${prefix}out_proj.bias`, 1, D, 0.1)
      }
      add(`${prefix}conv.weight`, K, E, 0.5)
      add(`${prefix}conv.bias`, 1, E, 0.1)
      add(`${prefix}x_proj.weight`, R + 2 * N, E)
      add(`${prefix}dt_proj.weight`, E, R)
      add(`${prefix}dt_proj.bias`, 1, E, 1, -2)
      add(`${prefix}A_log`, E, N, 1, 0.5)
      add(`${prefix}D`, 1, E, 0.2, 1)
    }
    if (mlp) {
      add(`blocks.${i}.norm2.weight`, 1, D, 0.2, 1)
      if (spec.norm.kind === 'layer') add(`blocks.${i}.norm2.bias`, 1, D, 0.2)
      add(`blocks.${i}.mlp.fc1.weight`, 2 * mlp.d_hidden, D)
      add(`blocks.${i}.mlp.fc2.weight`, D, mlp.d_hidden)
    }
  }
  add('norm_f.weight', 1, D, 0.2, 1)
  if (spec.norm.kind === 'layer') add('norm_f.bias', 1, D, 0.2)
  add('head.weight', 3, D)
  add('head.bias', 1, 3, 0.1)
  return weights
}

export function network(backend: Backend, spec: ModelSpec, seed = 1): Network {
  return new Network(backend, spec, uploadWeights(backend, randomWeights(spec, seed)))
}

export function randomIds(length: number, random: () => number): Int32Array {
  return Int32Array.from({ length }, () => Math.floor(random() * 5))
}

export function segmentsOf(lengths: number[]): Segments {
  const offsets = new Int32Array(lengths.length + 1)
  for (const [i, length] of lengths.entries()) offsets[i + 1] = offsets[i] + length
  return { offsets, continues: false, goesOn: false }
}
