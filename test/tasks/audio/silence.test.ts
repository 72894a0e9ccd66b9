import { expect, test } from 'vitest'
import { BufferPool } from '../../../src/runtime/buffer-pool.js'
import { splitAtSilence } from '../../../src/tasks/audio/silence.js'
import type { Part } from '../../../src/tasks/windows.js'
import { seeded } from '../../engine/models.js'
import { cutUp } from '../../input/audio/helpers.js'

const width = 3
const options = { width, longest: 300, multiple: 4, pause: 10 }

/** Loud frames with pauses of 12 frames that begin at `pauses`; frame f holds f / 1e6 more, to tell it. */
function features(frames: number, pauses: number[]): Float32Array {
  const silent = (f: number) => pauses.some((from) => f >= from && f < from + 12)
  return Float32Array.from({ length: frames * width }, (_, i) => {
    const f = Math.floor(i / width)
    return (silent(f) ? -2 : 1) + f / 1e6
  })
}

async function windowsOf(records: Float32Array[], seed: number) {
  async function* parts(): AsyncGenerator<Part<Float32Array>> {
    for (const [r, all] of records.entries()) {
      const record = { id: `r${r}`, file: 'x.wav', line: 1 }
      const frames = cutUp(Uint8Array.from({ length: all.length / width }), seeded(seed))
      let offset = 0
      for (const { length } of frames) {
        const rows = all.slice(offset * width, (offset + length) * width)
        yield { record, offset, rows, last: offset + length === all.length / width }
        offset += length
      }
    }
  }
  const found: [string, number, number][] = []
  for await (const { span, rows, start, ends } of splitAtSilence(parts(), options, new BufferPool())) {
    const all = records[Number(span.record.id.slice(1))]
    expect(rows).toEqual(all.slice(span.start * width, span.end * width))
    expect([start, ends]).toEqual([0, true])
    found.push([span.record.id, span.start, span.end])
  }
  return found
}

test('recordings are cut in pauses, however they come in', async () => {
  const records = [features(900, [100, 220, 270, 450, 800]), features(300, [250]), features(301, [])]
  const first = await windowsOf(records, 1)
  const ends = (id: string) => first.filter(([name]) => name === id).map(([, , end]) => end)
  // In a pause, on a multiple of 4, and none of more than 300 frames.
  const [a, b, c, d] = ends('r0')
  expect([a >= 270 && a <= 282, b >= a + 200 && b <= a + 300, d ?? c]).toEqual([true, true, 900])
  for (const [, start, end] of first) {
    expect(start % 4).toBe(0)
    expect(end - start).toBeLessThanOrEqual(300)
  }
  expect(ends('r1')).toEqual([300])
  expect(ends('r2').length).toBe(2)
  for (let seed = 2; seed < 12; seed++) expect(await windowsOf(records, seed)).toEqual(first)
})
