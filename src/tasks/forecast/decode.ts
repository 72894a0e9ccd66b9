import type { ForecastHead } from '../../spec.js'

/** Where the polynomials are read: -1 is the step itself, and `patch` steps of the model's own size end at 0.95. */
const [begin, end] = [-1, 0.95]

/** Steps that one row foretells; each is `scale` of the model's own long, which may be a quotient that is not exact. */
export const patchSteps = ({ patch }: ForecastHead, scale: number): number => Math.floor(patch / scale + 1e-9)

/** Values of the Legendre polynomials at each step of a patch, [steps, d_basis], as the decoder weighs them. */
export function legendre(head: ForecastHead, scale: number): Float64Array {
  const { d_basis, patch } = head
  const steps = patchSteps(head, scale)
  const basis = new Float64Array(steps * d_basis)
  for (let j = 0; j < steps; j++) {
    const t = begin + ((j + 1) * scale * (end - begin)) / patch
    let [before, now] = [0, 1]
    for (let k = 0; k < d_basis; k++) {
      basis[j * d_basis + k] = now / 4
      ;[before, now] = [now, ((2 * k + 1) * t * now - k * before) / (k + 1)]
    }
  }
  return basis
}

/** Quantiles and their mean of one step. */
export interface StepForecast {
  /** [quantiles] */
  quantiles: Float64Array
  mean: number
}

/**
 * Step j of the patch behind a row, from its coefficients [quantiles, d_basis]. As in the official code the heads are sorted, the quantiles are
 * taken between them by linear interpolation, and their mean weighs a quantile q by 0.5 - |0.5 - q|.
 */
export function decodeStep(
  { quantiles: levels, d_basis }: ForecastHead,
  coefficients: ArrayLike<number>,
  basis: Float64Array,
  j: number,
  { mean, deviation }: { mean: number; deviation: number },
): StepForecast {
  const heads = Float64Array.from(levels, (_, q) => {
    let y = 0
    for (let k = 0; k < d_basis; k++) y += coefficients[q * d_basis + k] * basis[j * d_basis + k]
    return y * deviation + mean
  }).sort()
  const quantiles = Float64Array.from(levels, (level) => {
    const at = level * (heads.length - 1)
    const below = Math.floor(at)
    return heads[below] + (at - below) * (heads[Math.min(below + 1, heads.length - 1)] - heads[below])
  })
  const weights = levels.map((level) => 0.5 - Math.abs(0.5 - level))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return { quantiles, mean: quantiles.reduce((sum, value, q) => sum + (weights[q] / total) * value, 0) }
}
