import { expect, test } from 'vitest'
import { fromFloat16, toFloat16 } from '../../src/runtime/float16.js'

const patterns = Uint16Array.from({ length: 2 ** 16 }, (_, pattern) => pattern)
const isNaN16 = (pattern: number) => (pattern & 0x7fff) > 0x7c00
const round = (...numbers: number[]) => [...toFloat16(Float32Array.from(numbers))]

test('every float16 becomes its number and comes back', () => {
  const numbers = fromFloat16(patterns)
  expect(
    [0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0xfc00].map((p) => numbers[p]),
  ).toEqual(
    [0, -0, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 1, -2, 65504, Infinity, -Infinity], // biome-ignore format: a table
  )
  const back = toFloat16(numbers)
  for (const pattern of patterns) {
    if (isNaN16(pattern)) expect([numbers[pattern], isNaN16(back[pattern])]).toEqual([Number.NaN, true])
    else if (back[pattern] !== pattern) expect.fail(`${pattern} came back as ${back[pattern]}`)
  }
})

test('between two of them the nearest is taken, of two as near the even one', () => {
  const numbers = fromFloat16(patterns)
  // The step behind the largest is to 2^16, which stands for infinity.
  const of = (pattern: number) => (pattern === 0x7c00 ? 2 ** 16 : numbers[pattern])
  for (let low = 0; low < 0x7c00; low++) {
    // Exact in float32, as are its neighbours.
    const middle = (of(low) + of(low + 1)) / 2
    const bits = new Uint32Array(Float32Array.of(middle).buffer)[0]
    const [below, above] = new Float32Array(Uint32Array.of(bits - 1, bits + 1).buffer)
    const even = low % 2 === 0 ? low : low + 1
    const found = round(below, middle, above, -below, -middle, -above)
    const expected = [low, even, low + 1]
    if (`${found}` !== `${[...expected, ...expected.map((pattern) => pattern | 0x8000)]}`)
      expect.fail(`${middle}: ${found}`)
  }
  expect(round(65519.996, 65520, 1e30, -Infinity)).toEqual([0x7bff, 0x7c00, 0x7c00, 0xfc00])
  expect(round(2 ** -149, -1e-40, 2 ** -25, 2 ** -25 * 1.0000001)).toEqual([0, 0x8000, 0, 1])
})
