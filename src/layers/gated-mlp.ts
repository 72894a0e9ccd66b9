import type { Backend, Tensor } from '../backends/backend.js'
import type { MlpSpec } from '../spec.js'
import type { Params } from './params.js'

/** Gated MLP of state-spaces/mamba: x [T, D] -> fc2(y * silu(gate)) + residual, [y, gate] = fc1(x). */
export async function gatedMlp(
  b: Backend,
  spec: MlpSpec,
  params: Params,
  x: Tensor,
  residual: Tensor,
): Promise<Tensor> {
  const H = spec.d_hidden
  const yGate = await b.linear(x, params.get('fc1.weight'), { bias: params.optional('fc1.bias') }) // [T, 2H]
  const gated = b.combine(b.columns(yGate, 0, H), b.columns(yGate, H, 2 * H), 'gate') // [T, H]
  const out = await b.linear(gated, params.get('fc2.weight'), { bias: params.optional('fc2.bias'), residual })
  b.release(yGate, gated)
  return out
}
