import { expect, test } from 'vitest'
import { Peaks } from '../../../src/tasks/audio/peaks.js'
import { seeded } from '../../engine/models.js'

const quiet = 10 ** (-71 / 20)

test.each([8000, 11_025, 16_000])('what is heard is found in any tenth of a second, at %i Hz', (rate) => {
  const samples = new Float32Array(3 * rate).fill(quiet)
  for (const heard of [0, 1.23, 2.98]) samples[Math.floor(heard * rate)] = -0.01
  for (const step of [1, 1000, samples.length]) {
    const peaks = new Peaks(rate, 10)
    for (let i = 0; i < samples.length; i += step) peaks.add(samples.subarray(i, i + step))
    const silent = (start: number, end: number) => peaks.silent(10 + start, 10 + end)
    expect([silent(0, 0.05), silent(0.11, 1.19), silent(1.21, 1.22), silent(1.3, 2.85), silent(2.85, 3)]).toEqual([
      false, true, false, true, false,
    ]) // biome-ignore format: one list
  }
})

test('hours of a recording are remembered', () => {
  const peaks = new Peaks(1000, 0)
  const random = seeded(1)
  const minute = Float32Array.from({ length: 60_000 }, () => random())
  for (let i = 0; i < 200; i++) peaks.add(i === 150 ? new Float32Array(60_000) : minute)
  expect([peaks.silent(9000.1, 9059.8), peaks.silent(9000, 9061), peaks.silent(8999, 9000)]).toEqual([
    true,
    false,
    false,
  ])
})
