import type { BitReader } from './bits.js'

/**
 * out [samples]: one channel of a frame (RFC 9639, 9.2), as whole numbers of `bits` bits. Sums stay below 2^53, so that
 * float64 holds them exactly. Returns whether there can be such a subframe.
 */
export function decodeSubframe(reader: BitReader, bits: number, samples: number, out: Float64Array): boolean {
  if (reader.unsigned(1) !== 0) return false
  const type = reader.unsigned(6)
  // Low bits that are zero in all samples are left out.
  const wasted = reader.unsigned(1) === 0 ? 0 : reader.unary() + 1
  const width = bits - wasted
  if (width < 1) return false
  if (type === 0) out.fill(reader.signed(width), 0, samples)
  else if (type === 1) for (let i = 0; i < samples; i++) out[i] = reader.signed(width)
  else if (type >= 8 && type <= 12) {
    if (!decodeResidual(reader, width, samples, type - 8, out)) return false
    predict(out, samples, fixed[type - 8], 0)
  } else if (type >= 32) {
    if (!decodeLinear(reader, width, samples, type - 31, out)) return false
  } else return false
  if (wasted > 0) for (let i = 0; i < samples; i++) out[i] *= 2 ** wasted
  return true
}

/** Coefficients of the fixed predictors, for the latest sample first. */
const fixed = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]]

function decodeLinear(reader: BitReader, bits: number, samples: number, order: number, out: Float64Array): boolean {
  if (order > samples) return false
  for (let i = 0; i < order; i++) out[i] = reader.signed(bits)
  const precision = reader.unsigned(4) + 1
  const shift = reader.signed(5)
  if (precision === 16 || shift < 0) return false
  const coefficients = Array.from({ length: order }, () => reader.signed(precision))
  if (!decodeRice(reader, samples, order, out)) return false
  predict(out, samples, coefficients, shift)
  return true
}

function decodeResidual(reader: BitReader, bits: number, samples: number, order: number, out: Float64Array): boolean {
  if (order > samples) return false
  for (let i = 0; i < order; i++) out[i] = reader.signed(bits)
  return decodeRice(reader, samples, order, out)
}

/** out [order..samples): what the prediction misses, in partitions with a Rice parameter each. */
function decodeRice(reader: BitReader, samples: number, order: number, out: Float64Array): boolean {
  const method = reader.unsigned(2)
  if (method > 1) return false
  const parameterBits = 4 + method
  const partitions = 2 ** reader.unsigned(4)
  const each = samples / partitions
  if (!Number.isInteger(each) || each < order) return false
  for (let p = 0; p < partitions; p++) {
    const from = p === 0 ? order : p * each
    const to = (p + 1) * each
    const parameter = reader.unsigned(parameterBits)
    if (parameter < 2 ** parameterBits - 1) reader.rice(parameter, out, from, to)
    else {
      // An escape: plain numbers follow.
      const bits = reader.unsigned(5)
      for (let i = from; i < to; i++) out[i] = reader.signed(bits)
    }
    if (reader.isPastEnd) return false
  }
  return true
}

/**
 * Adds to each sample what is predicted from those before it; the first of the coefficients is for the latest. That one
 * is added last, so that the sum of the others does not wait for it.
 */
function predict(out: Float64Array, samples: number, coefficients: readonly number[], shift: number): void {
  const order = coefficients.length
  if (order === 0) return
  const older = Float64Array.from(coefficients.slice(1).reverse(), (coefficient) => coefficient * 2 ** -shift)
  const weight = coefficients[0] * 2 ** -shift
  let latest = out[order - 1]
  for (let i = order; i < samples; i++) {
    let sum = 0
    for (let j = 0, at = i - order; j < older.length; j++, at++) sum += older[j] * out[at]
    latest = out[i] + Math.floor(sum + weight * latest)
    out[i] = latest
  }
}
