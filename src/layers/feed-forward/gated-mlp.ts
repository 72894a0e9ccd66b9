import type { Backend, Tensor } from '../../backends/backend.js'
import type { MlpSpec } from '../../spec.js'
import { linear } from '../initial.js'
import type { WeightShape } from '../mixers/mixer.js'
import type { Params } from '../params.js'
import type { FeedForward } from './feed-forward.js'

/**
 * Gated MLP of state-spaces/mamba: x [T, D] -> fc2(y * silu(gate)) with [y, gate] = fc1(x). Elsewhere it is called SwiGLU (arXiv
 * 2002.05202), up = y.
 *
 *     fc1.weight [2 d_hidden, D] (rows y, then gate), fc1.bias?, fc2.weight [D, d_hidden], fc2.bias?
 */
export const gatedMlp: FeedForward<MlpSpec> = {
  weights: ({ d_hidden }, D) => mlpWeights(d_hidden, D),
  widths: ({ d_hidden: H }, D) => [2 * H, H, D],
  initialise: ({ d_hidden: H }, D, random, branches) =>
    new Map([
      ['fc1.weight', linear(random, 2 * H, D)],
      ['fc2.weight', linear(random, D, H, Math.sqrt(branches))],
    ]),
  forward: (b, { d_hidden }, params, x, residual) => mlp(b, d_hidden, params, x, residual),
}

export function mlpWeights(H: number, D: number): WeightShape[] {
  return [
    { name: 'fc1.weight', rows: 2 * H, cols: D },
    { name: 'fc1.bias', rows: 1, cols: 2 * H, optional: true },
    { name: 'fc2.weight', rows: D, cols: H },
    { name: 'fc2.bias', rows: 1, cols: D, optional: true },
  ]
}

/** H: the width inside. */
export async function mlp(b: Backend, H: number, params: Params, x: Tensor, residual: Tensor | null): Promise<Tensor> {
  const yGate = await b.linear(x, params.get('fc1.weight'), { bias: params.optional('fc1.bias') }) // [T, 2H]
  const gated = b.combine(b.columns(yGate, 0, H), b.columns(yGate, H, 2 * H), 'gate') // [T, H]
  const out = await b.linear(gated, params.get('fc2.weight'), { bias: params.optional('fc2.bias'), residual })
  b.release(yGate, gated)
  return out
}
