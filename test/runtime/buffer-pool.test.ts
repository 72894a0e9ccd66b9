import { describe, expect, it } from 'vitest'
import { Spare } from '../../src/runtime/buffer-pool.js'

describe('spare buffers', () => {
  it('are handed out again, once each', () => {
    const spare = new Spare()
    const { buffer } = spare.floats(10)
    spare.give(buffer)
    expect(spare.floats(7).buffer).toBe(buffer)
    expect(spare.floats(7).buffer).not.toBe(buffer)
  })

  it('are freed where they are too small, and where none is ever asked for', () => {
    const unused = new ArrayBuffer(40)
    new Spare().give(unused)
    expect(unused.byteLength).toBe(0)

    const spare = new Spare()
    const small = spare.floats(10)
    const kept = spare.floats(10)
    spare.give(kept.buffer)
    expect(spare.floats(20).length).toBe(20)
    expect(kept.buffer.byteLength).toBe(0)
    spare.give(small.buffer)
    expect(small.buffer.byteLength).toBe(0)
  })

  it('hold parts one after the other, and take the buffers of the parts', () => {
    const spare = new Spare()
    const parts = [spare.floats(3).fill(1), spare.floats(3).fill(2)]
    expect(spare.joined(parts.slice(0, 1))).toBe(parts[0])
    const all = spare.joined(parts)
    expect([...all]).toEqual([1, 1, 1, 2, 2, 2])
    expect(parts.map(({ buffer }) => buffer.byteLength)).toEqual([0, 0])
  })
})
