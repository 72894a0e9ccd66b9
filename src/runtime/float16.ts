/** Bits of 65,520, from which on infinity is nearest; of 2^-14, the smallest normal float16; of 1/2. */
const [tooLarge, smallestNormal, half] = [0x477ff000, 0x38800000, 0x3f000000]
const infinity = 0x7f800000

const scratch = new Float32Array(1)
const scratchBits = new Uint32Array(scratch.buffer)

/** The nearest float16 of each number, of two as near the even one, as bits: IEEE 754 binary16. */
export function toFloat16(numbers: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length)
  const rounded = new Uint16Array(numbers.length)
  for (let i = 0; i < bits.length; i++) {
    const magnitude = bits[i] & 0x7fffffff
    let to: number
    if (magnitude >= tooLarge) to = magnitude > infinity ? 0x7e00 : 0x7c00
    else if (magnitude >= smallestNormal) to = (magnitude - (112 << 23) + 0xfff + ((magnitude >>> 13) & 1)) >>> 13
    else {
      // From 1/2 to 1 float32 has steps of 2^-24, as float16 has where it is subnormal.
      scratchBits[0] = magnitude
      scratch[0] += 0.5
      to = scratchBits[0] - half
    }
    rounded[i] = to | ((bits[i] >>> 16) & 0x8000)
  }
  return rounded
}

/** What each of the 65,536 patterns stands for. */
let values: Float32Array | undefined

/** The numbers of such bits, exactly. */
export function fromFloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  values ??= Float32Array.from({ length: 2 ** 16 }, (_, pattern) => numberOf(pattern))
  const numbers = new Float32Array(bits.length)
  for (let i = 0; i < bits.length; i++) numbers[i] = values[bits[i]]
  return numbers
}

function numberOf(pattern: number): number {
  const sign = pattern & 0x8000 ? -1 : 1
  const [exponent, fraction] = [(pattern >>> 10) & 31, pattern & 1023]
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15))
}
