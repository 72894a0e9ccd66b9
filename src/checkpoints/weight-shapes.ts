import { feedForwardsOf } from '../layers/feed-forward/registry.js'
import type { WeightShape } from '../layers/mixers/mixer.js'
import { familyOf } from '../layers/mixers/registry.js'
import type { ModelSpec } from '../spec.js'

/** The normalised weights (layers/params.ts) of a model, with their shapes, in the order of the forward pass. */
export function weightShapes(spec: ModelSpec): WeightShape[] {
  const shapes: WeightShape[] = []
  const add = (name: string, rows: number, cols: number, optional?: true) => shapes.push({ name, rows, cols, optional })
  const linear = (name: string, rows: number, cols: number) => {
    add(`${name}.weight`, rows, cols)
    add(`${name}.bias`, 1, rows, true)
  }
  const { d_model: D, input } = spec
  const V = input.kind === 'tokens' ? input.vocab_size : 0
  const norm = (name: string) => {
    if (!spec.norm) return
    add(`${name}.weight`, 1, D)
    add(`${name}.bias`, 1, D, true)
  }
  if (V > 0) add('embedding.weight', V, spec.d_embed)
  let width = spec.d_embed
  for (const [i, { window, d_out }] of spec.stem.entries()) {
    add(`stem.${i}.weight`, d_out, window * width)
    add(`stem.${i}.bias`, 1, d_out)
    width = d_out
  }
  for (const [i, block] of spec.blocks.entries()) {
    const at = `blocks.${i}.`
    const within = (part: string, named: WeightShape[]) =>
      shapes.push(...named.map((shape) => ({ ...shape, name: `${at}${part}.${shape.name}` })))
    norm(`${at}norm`)
    within('mixer', familyOf(block.mixer).weights(block.mixer, D))
    const parts = feedForwardsOf(block)
    if (parts.length > 0) norm(`${at}norm2`)
    for (const { name, kind, spec } of parts) within(name, kind.weights(spec, D))
  }
  norm('norm_f')
  if (spec.head?.kind === 'tokens' && !spec.head.tied) linear('head', V, D)
  if (spec.head?.kind === 'ctc') linear('head', spec.head.vocabulary.length, D)
  if (spec.head?.kind === 'forecast') linear('head', spec.head.quantiles.length * spec.head.d_basis, D)
  if (spec.head?.kind === 'classes') linear('head', spec.head.labels.length, D * rowsRead(spec))
  return shapes
}

/** How many rows a head of classes reads at once: one, of both strands two, or for the pooling `flatten` all that `length` bases give. */
function rowsRead({ head, stem, reverse_complement: both }: ModelSpec): number {
  if (both) return 2
  if (head?.kind !== 'classes' || head.pool !== 'flatten') return 1
  return stem.reduce((rows, { stride }) => Math.ceil(rows / stride), head.length ?? 0)
}
