import { describe, expect, it } from 'vitest'
import { BufferPool } from '../../src/runtime/buffer-pool.js'

describe('the buffer pool', () => {
  it('are handed out again, once each', () => {
    const buffers = new BufferPool()
    const { buffer } = buffers.floats(10)
    buffers.give(buffer)
    expect(buffers.floats(7).buffer).toBe(buffer)
    expect(buffers.floats(7).buffer).not.toBe(buffer)
  })

  it('are freed where they are too small, and where none is ever asked for', () => {
    const unused = new ArrayBuffer(40)
    new BufferPool().give(unused)
    expect(unused.byteLength).toBe(0)

    const buffers = new BufferPool()
    const small = buffers.floats(10)
    const kept = buffers.floats(10)
    buffers.give(kept.buffer)
    expect(buffers.floats(20).length).toBe(20)
    expect(kept.buffer.byteLength).toBe(0)
    buffers.give(small.buffer)
    expect(small.buffer.byteLength).toBe(0)
  })

  it('hold parts one after the other, and take the buffers of the parts', () => {
    const buffers = new BufferPool()
    const parts = [buffers.floats(3).fill(1), buffers.floats(3).fill(2)]
    expect(buffers.joined(parts.slice(0, 1))).toBe(parts[0])
    const all = buffers.joined(parts)
    expect([...all]).toEqual([1, 1, 1, 2, 2, 2])
    expect(parts.map(({ buffer }) => buffer.byteLength)).toEqual([0, 0])
  })
})
