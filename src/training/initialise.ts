import type { Weight } from '../backends/weight.js'
import { feedForwardsOf } from '../layers/feed-forward/registry.js'
import { constant, filled, linear, uniform } from '../layers/initial.js'
import { familyOf } from '../layers/mixers/registry.js'
import type { Weights } from '../layers/params.js'
import { Random } from '../runtime/random.js'
import type { ModelSpec } from '../spec.js'
import { headWidth } from './architecture.js'

/**
 * Weights of a fresh model: mixers as their families start them, linear layers and convolutions PyTorch's default
 * (uniform within fan_in^-0.5), those that end a branch (out_proj, fc2) smaller by the root of the number of branches,
 * as state-spaces/mamba has it (_init_weights), biases 0, embedding normal with deviation 0.02. Before a stem, which
 * has no norm of its own, the embedding starts with deviation 1 (PyTorch's default).
 */
export function initialise(spec: ModelSpec, seed: number): Weights {
  const random = new Random(seed, 0)
  const weights: Weights = new Map()
  const set = (name: string, weight: Weight) => weights.set(name, weight)
  const norm = (name: string) => {
    if (!spec.norm) return
    set(`${name}.weight`, constant(spec.d_model, 1))
    if (spec.norm.kind === 'layer') set(`${name}.bias`, constant(spec.d_model, 0))
  }

  const branches = spec.blocks.reduce((n, block) => n + (feedForwardsOf(block).length > 0 ? 2 : 1), 0)
  const deviation = spec.stem.length > 0 ? 1 : 0.02
  if (spec.input.kind === 'tokens')
    set(
      'embedding.weight',
      filled(spec.input.vocab_size, spec.d_embed, () => deviation * random.normal()),
    )
  let width = spec.d_embed
  for (const [i, { window, d_out }] of spec.stem.entries()) {
    set(`stem.${i}.weight`, linear(random, d_out, window * width))
    set(`stem.${i}.bias`, constant(d_out, 0))
    width = d_out
  }
  for (const [i, block] of spec.blocks.entries()) {
    const within = (part: string, fresh: Weights) => {
      for (const [name, weight] of fresh) set(`blocks.${i}.${part}.${name}`, weight)
    }
    const { mixer } = block
    norm(`blocks.${i}.norm`)
    within('mixer', familyOf(mixer).initialise(mixer, spec.d_model, random, branches))
    const parts = feedForwardsOf(block)
    if (parts.length > 0) norm(`blocks.${i}.norm2`)
    for (const { name, kind, spec: part } of parts) within(name, kind.initialise(part, spec.d_model, random, branches))
  }
  norm('norm_f')
  for (const [name, weight] of initialiseHead(spec, seed)) set(name, weight)
  return weights
}

/** A fresh head: uniform within fan_in^-0.5, bias 0. Tied to the embedding it has no weights of its own. */
export function initialiseHead(spec: ModelSpec, seed: number): Weights {
  const { head } = spec
  if (head?.kind === 'tokens' && head.tied) return new Map()
  if (head?.kind !== 'classes' && head?.kind !== 'ctc') throw new Error(`a head '${head?.kind}' is not trained`)
  const rows = head.kind === 'ctc' ? head.vocabulary.length : head.labels.length
  const cols = headWidth(spec)
  return new Map([
    ['head.weight', uniform(new Random(seed, 1), rows, cols, 1 / Math.sqrt(cols))],
    ['head.bias', constant(rows, 0)],
  ])
}
