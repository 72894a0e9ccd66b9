import type { MambaSpec, ModelSpec } from '../spec.js'

export interface WeightShape {
  name: string
  rows: number
  cols: number
  /** A bias that a model has or has not. */
  optional: boolean
}

/** The normalised weights (src/spec.ts) of a model, with their shapes, in the order of the forward pass. */
export function weightShapes(spec: ModelSpec): WeightShape[] {
  const shapes: WeightShape[] = []
  const add = (name: string, rows: number, cols: number, optional = false) =>
    shapes.push({ name, rows, cols, optional })
  const linear = (name: string, rows: number, cols: number) => {
    add(`${name}.weight`, rows, cols)
    add(`${name}.bias`, 1, rows, true)
  }
  const { d_model: D, input } = spec
  const V = input.kind === 'tokens' ? input.vocab_size : 0
  const norm = (name: string) => {
    add(`${name}.weight`, 1, D)
    add(`${name}.bias`, 1, D, true)
  }
  const mamba = (prefix: string, { d_inner: E, d_state: N, dt_rank: R, d_conv: K }: MambaSpec, projections = true) => {
    if (projections) linear(`${prefix}in_proj`, 2 * E, D)
    add(`${prefix}conv.weight`, K, E)
    add(`${prefix}conv.bias`, 1, E, true)
    add(`${prefix}x_proj.weight`, R + 2 * N, E)
    add(`${prefix}dt_proj.weight`, E, R)
    add(`${prefix}dt_proj.bias`, 1, E)
    add(`${prefix}A_log`, E, N)
    add(`${prefix}D`, 1, E)
    if (projections) linear(`${prefix}out_proj`, D, E)
  }

  if (V > 0) add('embedding.weight', V, spec.d_embed)
  let width = spec.d_embed
  for (const [i, { window, d_out }] of spec.stem.entries()) {
    add(`stem.${i}.weight`, d_out, window * width)
    add(`stem.${i}.bias`, 1, d_out)
    width = d_out
  }
  for (const [i, { mixer, mlp }] of spec.blocks.entries()) {
    const block = `blocks.${i}.`
    norm(`${block}norm`)
    if (mixer.kind === 'mamba') mamba(`${block}mixer.`, mixer)
    else {
      mamba(`${block}mixer.forward.`, mixer.mamba)
      mamba(`${block}mixer.reverse.`, mixer.mamba, !mixer.tied)
    }
    if (!mlp) continue
    norm(`${block}norm2`)
    linear(`${block}mlp.fc1`, 2 * mlp.d_hidden, D)
    linear(`${block}mlp.fc2`, D, mlp.d_hidden)
  }
  norm('norm_f')
  if (spec.head?.kind === 'tokens' && !spec.head.tied) linear('head', V, D)
  if (spec.head?.kind === 'ctc') linear('head', spec.head.vocabulary.length, D)
  if (spec.head?.kind === 'classes') linear('head', spec.head.labels.length, D * positionsRead(spec))
  return shapes
}

/** How many rows the head reads at once: one, or for the read-out `positions` all that `length` bases give. */
function positionsRead({ head, stem }: ModelSpec): number {
  if (head?.kind !== 'classes' || head.pool !== 'positions') return 1
  return stem.reduce((rows, { stride }) => Math.ceil(rows / stride), head.length ?? 0)
}
