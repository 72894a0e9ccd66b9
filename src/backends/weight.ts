import { firstNotFinite } from '../runtime/numbers.js'

/** The types that checkpoints store weights in; `f16` and `bf16` as their bits. */
export type Dtype = 'f32' | 'f16' | 'bf16'

/** Of a number. */
export const dtypeBytes: Readonly<Record<Dtype, number>> = { f32: 4, f16: 2, bf16: 2 }

/**
 * A weight on the host: row-major, vectors as [1, n], in the type that its file stores, widened by what reads it. It lies in shared memory, so
 * that threads are handed the one copy there is, and is not written once it has been made.
 */
export type Weight = { rows: number; cols: number } & (
  | { dtype: 'f32'; data: Float32Array<SharedArrayBuffer> }
  | { dtype: 'f16' | 'bf16'; data: Uint16Array<SharedArrayBuffer> }
)

/** Of zeros. */
export function newWeight(dtype: Dtype, rows: number, cols: number): Weight {
  const n = rows * cols
  const buffer = new SharedArrayBuffer(dtypeBytes[dtype] * n)
  if (dtype === 'f32') return { dtype, rows, cols, data: new Float32Array(buffer) }
  return { dtype, rows, cols, data: new Uint16Array(buffer) }
}

/** Of the numbers given, `rows * cols` of them, as f32. */
export function weightOf(rows: number, cols: number, numbers: ArrayLike<number>): Weight {
  const weight = newWeight('f32', rows, cols)
  weight.data.set(numbers)
  return weight
}

/** Rows from .. to - 1, where they lie. */
export const rowsOf = (weight: Weight, from: number, to: number): Weight =>
  ({ ...weight, rows: to - from, data: weight.data.subarray(from * weight.cols, to * weight.cols) }) as Weight

/** Weights of the same columns one under the other; float32 where they are not all stored in one type. */
export function joinRows(...parts: Weight[]): Weight {
  const [{ dtype, cols }] = parts
  const same = parts.every((part) => part.dtype === dtype)
  const rows = parts.reduce((sum, part) => sum + part.rows, 0)
  const joined = newWeight(same ? dtype : 'f32', rows, cols)
  let at = 0
  for (const part of parts) {
    joined.data.set(same ? part.data : widened(part), at)
    at += part.data.length
  }
  return joined
}

/** Its numbers times a factor for each row, as float32. */
export function scaleRows(weight: Weight, factorOf: (row: number) => number): Weight {
  const { rows, cols } = weight
  return weightOf(
    rows,
    cols,
    widened(weight).map((x, i) => x * factorOf(Math.floor(i / cols))),
  )
}

/** Its numbers; of f32 those in shared memory, not a copy. */
export function widened({ dtype, data }: Weight): Float32Array {
  if (dtype === 'f32') return data
  return dtype === 'f16' ? fromF16(data) : fromBF16(data)
}

/** The first number that is not finite, with its index; null where all are. */
export function notFinite({ dtype, data }: Weight): { index: number; value: number } | null {
  if (dtype === 'f32') {
    const index = firstNotFinite(data)
    return index < 0 ? null : { index, value: data[index] }
  }
  const exponent = dtype === 'f16' ? 0x7c00 : 0x7f80
  for (let index = 0; index < data.length; index++) {
    if ((data[index] & exponent) !== exponent) continue
    const [value] = widened({ rows: 1, cols: 1, dtype, data: data.subarray(index, index + 1) })
    return { index, value }
  }
  return null
}

/** IEEE 754 half precision, exactly: every half is a float32, subnormals, infinities and NaN included. */
function fromF16(bits: Uint16Array): Float32Array {
  const wide = new Float32Array(bits.length)
  for (let i = 0; i < bits.length; i++) {
    const exponent = (bits[i] >> 10) & 0x1f
    const fraction = bits[i] & 0x3ff
    let magnitude = fraction * 2 ** -24
    if (exponent === 31) magnitude = fraction ? Number.NaN : Number.POSITIVE_INFINITY
    else if (exponent > 0) magnitude = (1024 + fraction) * 2 ** (exponent - 25)
    wide[i] = bits[i] & 0x8000 ? -magnitude : magnitude
  }
  return wide
}

/** bfloat16 is the upper half of a float32. */
function fromBF16(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i] << 16
  return new Float32Array(wide.buffer)
}
