import * as v from 'valibot'
import { newWeight, type Weight } from '../backends/weight.js'
import { type AnyMambaSpec, innerOf } from '../layers/mixers/any-mamba.js'
import { innerWeights } from '../layers/mixers/inner.js'
import type { MambaSpec } from '../layers/mixers/mamba.js'
import type { GatedNormSpec, Mamba2Spec } from '../layers/mixers/mamba2.js'
import type { Weights } from '../layers/params.js'
import type { NormSpec } from '../spec.js'
import { flag, oneOf, openRecord, whole } from '../text/schema.js'
import { broken } from './files.js'
import type { Tensors } from './tensors.js'

/** What the layouts with Mamba mixers have in common: the names inside a mixer, numbered layers and norms. */

/** Which biases a config promises; one that is there without promise is used too. */
export interface Biases {
  linear: boolean
  conv: boolean
}

/** Sizes from the tensors under `prefix`. Errors: 69 for Mamba-2 and for missing tensors. */
export function mambaSpec(tensors: Tensors, prefix: string): MambaSpec {
  if (tensors.has(`${prefix}dt_bias`)) throw tensors.broken(`${prefix}dt_bias`, 'belongs to Mamba-2, expected Mamba-1')
  const [d_inner, d_state] = tensors.shape(`${prefix}A_log`, 2)
  const [, dt_rank] = tensors.shape(`${prefix}dt_proj.weight`, 2)
  const [, , d_conv] = tensors.shape(`${prefix}conv1d.weight`, 3)
  return { kind: 'mamba', d_inner, d_state, dt_rank, d_conv }
}

/** The limits of steps as configs write them, the second often infinite. */
export const dtLimit = v.tuple([v.number(), v.number()], 'two limits')

/** What no tensor of a Mamba-2 mixer tells. */
export interface Mamba2Keys {
  groups: number
  limit: v.InferOutput<typeof dtLimit>
  /** Of the norm, where there is one. */
  norm: GatedNormSpec
}

/** Sizes from the tensors under `prefix`, and what they do not tell. Errors: 69 for missing tensors. */
export function mamba2Spec(tensors: Tensors, prefix: string, { groups, limit, norm }: Mamba2Keys): Mamba2Spec {
  const [H] = tensors.shape(`${prefix}dt_bias`, 1)
  const [, d_inner] = tensors.shape(`${prefix}out_proj.weight`, 2)
  const [cols, , d_conv] = tensors.shape(`${prefix}conv1d.weight`, 3)
  const [least, most] = limit
  return {
    kind: 'mamba2',
    d_inner,
    headdim: d_inner / H,
    n_groups: groups,
    d_state: (cols - d_inner) / 2 / groups,
    d_conv,
    ...((least > 0 || most < Number.POSITIVE_INFINITY) && {
      dt_limit: [least, most === Number.POSITIVE_INFINITY ? null : most],
    }),
    ...(tensors.has(`${prefix}norm.weight`) && { norm }),
  }
}

/** `ssm_cfg` of state-spaces/mamba, which other layouts have taken over, with the defaults of the official code. */
export const ssmKeys = {
  layer: v.nullish(oneOf('Mamba1', 'Mamba2')),
  bias: v.nullish(flag, false),
  conv_bias: v.nullish(flag, true),
  ngroups: v.nullish(whole(1), 1),
  norm_before_gate: v.nullish(flag, false),
  dt_limit: v.nullish(dtLimit, [0, Number.POSITIVE_INFINITY]),
}

export const ssmConfig = v.nullish(openRecord(ssmKeys), {})

type SsmConfig = Omit<v.InferOutput<typeof ssmConfig>, 'layer'> & { layer?: string | null }

/** A mixer of state-spaces/mamba: Mamba-2 where the config says so, or else has no word and there are its tensors. */
export function ssmSpec(tensors: Tensors, prefix: string, config: SsmConfig): AnyMambaSpec {
  const { layer, ngroups, norm_before_gate, dt_limit } = config
  const isMamba2 = layer ? layer === 'Mamba2' : tensors.has(`${prefix}dt_bias`)
  if (!isMamba2) return mambaSpec(tensors, prefix)
  // RMSNormGated of Mamba2.__init__: its epsilon is not in the config.
  const norm = { eps: 1e-5, groups: ngroups, before_gate: norm_before_gate }
  return mamba2Spec(tensors, prefix, { groups: ngroups, limit: dt_limit, norm })
}

/** Copies one mixer from the names under `from` to the normalised ones under `to`. */
export async function mambaWeights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: { from: string; to: string },
  mixer: AnyMambaSpec,
  D: number,
  biases: Biases,
  projections = true,
): Promise<void> {
  for (const { name, rows, cols, optional } of innerWeights(innerOf(mixer), mixer, D, projections)) {
    const official = from + name.replace(/^conv\./, 'conv1d.').replace(/^(dt|B|C)_norm\./, layerNorm)
    const promised = name.endsWith('.bias') && (name.startsWith('conv.') ? biases.conv : biases.linear)
    if (optional && !promised && !tensors.has(official)) continue
    const weight =
      name === 'conv.weight'
        ? transposed(await tensors.weight(official, [cols, 1, rows]))
        : await tensors.weight(official, rows === 1 && !name.endsWith('proj.weight') ? [cols] : [rows, cols])
    weights.set(to + name, weight)
  }
}

/** Jamba's name of a norm inside a mixer. */
const layerNorm = (_: string, of: string) => `${of.toLowerCase()}_layernorm.`

/** Weight and, for a LayerNorm, bias. */
export async function normWeights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: { from: string; to: string },
  norm: NormSpec | null,
  D: number,
): Promise<void> {
  if (!norm) return
  weights.set(`${to}.weight`, await tensors.weight(`${from}.weight`, [D]))
  if (norm.kind === 'layer') weights.set(`${to}.bias`, await tensors.weight(`${from}.bias`, [D]))
}

/**
 * The number of layers `{prefix}{i}.`, from the names. `promised`: what the config says, by its keys. Errors: 69 when a layer is
 * missing in between, or when the config promises more under every key that it has.
 */
export function countLayers(
  tensors: Tensors,
  prefix: string,
  promised: Record<string, number | null | undefined>,
): number {
  const found = new Set<number>()
  let count = 0
  for (const name of tensors.names) {
    if (!name.startsWith(prefix)) continue
    const layer = Number.parseInt(name.slice(prefix.length), 10)
    if (Number.isNaN(layer)) continue // it is left over in the end
    found.add(layer)
    count = Math.max(count, layer + 1)
  }
  for (let i = 0; i < count; i++) {
    if (!found.has(i)) throw broken(tensors.path, `layer ${i} of ${count} is missing (${prefix}${i}.*)`)
  }
  if (count === 0) throw broken(tensors.path, `no layers (${prefix}0.*)`)
  const said = Object.entries(promised).flatMap(([key, n]) => (n == null ? [] : [{ key, n }]))
  if (said.length > 0 && said.every(({ n }) => n > count))
    throw broken(tensors.path, `${count} layers, but its config has ${said[0].key} ${said[0].n}`)
  return count
}

/**
 * Whether a tensor is its twin: it is absent, or the same values again. `untied`: the key by which the config says that it is another.
 * Errors: 69 where it is absent all the same.
 */
export async function isTied(tensors: Tensors, name: string, twin: string, untied?: string | false): Promise<boolean> {
  if (!tensors.has(name)) {
    if (untied && tensors.has(twin)) throw tensors.broken(name, `is missing, though ${untied} is false`)
    return true
  }
  if (!(await tensors.equal(name, twin))) return false
  tensors.skip(name)
  return true
}

/** [cols, 1, K] of PyTorch's convolutions as [K, cols]. */
export function transposed({ dtype, rows, cols, data }: Weight): Weight {
  const flipped = newWeight(dtype, cols, rows)
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) flipped.data[j * rows + i] = data[i * cols + j]
  return flipped
}
