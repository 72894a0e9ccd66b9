import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Pace } from '../../src/backends/webgpu/pace.js'

describe('how far commands run ahead of a GPU', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  const over = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds))

  /** One full submit after the other, to a GPU that takes so many milliseconds for a command; the pause between them is no work of it. */
  async function run(pace: Pace, submits: number, each: number): Promise<void> {
    for (let i = 0; i < submits; i++) {
      const milliseconds = Math.ceil(each * pace.atOnce)
      pace.submitted(pace.atOnce, over(milliseconds))
      await vi.advanceTimersByTimeAsync(milliseconds + 1000)
    }
  }

  test('the commands of a submit are as many as take a tenth of a second, one at least and 1,024 at most', async () => {
    const pace = new Pace()
    await run(pace, 20, 5)
    expect(pace.atOnce).toBe(20)
    await run(pace, 20, 5000)
    expect(pace.atOnce).toBe(1)
    await run(pace, 100, 1 / 16)
    expect(pace.atOnce).toBe(1024)
    await run(pace, 1, 5)
    expect(pace.atOnce).toBe(20)
  })

  test('submits that are found to be over at a time have taken it together', async () => {
    const pace = new Pace()
    for (const at of [300, 300, 300, 300, 600]) pace.submitted(3, over(at))
    await vi.advanceTimersByTimeAsync(600)
    expect(pace.atOnce).toBe(Math.floor((12 * 100) / 300))
  })

  test('four submits may wait, one where a single command takes long', async () => {
    const pace = new Pace()
    const done: (() => void)[] = []
    const submit = (count: number) => {
      for (let i = 0; i < count; i++) pace.submitted(1, new Promise<void>((resolve) => done.push(resolve)))
    }
    const waits = async () => {
      let waiting = true
      void pace.wait().then(() => {
        waiting = false
      })
      await vi.advanceTimersByTimeAsync(0)
      return waiting
    }
    submit(4)
    expect(await waits()).toBe(false)
    submit(1)
    expect(await waits()).toBe(true)
    for (const settle of done.splice(0)) settle()
    expect(await waits()).toBe(false)
    await run(pace, 1, 5000)
    submit(1)
    expect(await waits()).toBe(false)
    submit(1)
    expect(await waits()).toBe(true)
  })
})
