import { innerWeights } from '../layers/mixers/inner.js'
import { type Mamba3Spec, mamba3Inner } from '../layers/mixers/mamba3.js'
import type { Weights } from '../layers/params.js'
import type { Tensors } from './tensors.js'

/** What no tensor of a Mamba-3 mixer tells. */
export interface Mamba3Keys {
  ngroups: number
  A_floor: number
}

/** Sizes from the tensors under `prefix`, and what they do not tell. Errors: 69 for missing tensors. */
export function mamba3Spec(tensors: Tensors, prefix: string, { ngroups, A_floor }: Mamba3Keys): Mamba3Spec {
  const [H] = tensors.shape(`${prefix}dt_bias`, 1)
  const [N] = tensors.shape(`${prefix}B_norm.weight`, 1)
  const [, E] = tensors.shape(`${prefix}out_proj.weight`, 2)
  const [rows] = tensors.shape(`${prefix}in_proj.weight`, 2)
  return {
    kind: 'mamba3',
    d_inner: E,
    headdim: E / H,
    n_groups: ngroups,
    d_state: N,
    angles: rows - 2 * E - 2 * ngroups * N - 3 * H,
    least_rate: A_floor,
    // RMSNormGated of Mamba3.__init__: its epsilon is not in the config.
    ...(tensors.has(`${prefix}norm.weight`) && { norm_eps: 1e-5 }),
  }
}

/** Copies one mixer from the names under `from` to the same ones under `to`. */
export async function mamba3Weights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: { from: string; to: string },
  mixer: Mamba3Spec,
  D: number,
): Promise<void> {
  for (const { name, rows, cols, optional } of innerWeights(mamba3Inner, mixer, D)) {
    if (optional && !tensors.has(from + name)) continue
    const shape = /^[BC]_bias$/.test(name) ? [rows, 1, cols] : name.endsWith('proj.weight') ? [rows, cols] : [cols]
    const weight = await tensors.weight(from + name, shape)
    weights.set(to + name, weight)
  }
}
