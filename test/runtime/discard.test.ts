import { expect, test } from 'vitest'
import { discard } from '../../src/runtime/discard.js'

test('a discarded buffer is gone at once, not when garbage is next collected', () => {
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 200; i++) {
    const { buffer } = new Float32Array(2 ** 18).fill(1)
    discard(buffer)
    expect(buffer.byteLength).toBe(0)
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 2 ** 20)
})
