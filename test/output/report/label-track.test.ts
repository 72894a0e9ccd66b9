import { describe, expect, it } from 'vitest'
import { LabelTrack } from '../../../src/output/report/label-track.js'
import { type Lane, trackDrawing } from '../../../src/output/report/track.js'
import { Random } from '../../../src/runtime/random.js'

const lanes: Lane[] = [
  { name: 'a', labels: [0], colour: 0 },
  { name: 'b and c', labels: [1, 2], colour: 1 },
]

/** The paths of a drawing in order: that of each lane, then that of the scores. */
const pathsOf = (svg: string) => [...svg.matchAll(/scale\([\d.]+ 1\)" d="([^"]*)"/g)].map(([, d]) => d)

describe('labels along records', () => {
  it('are drawn window by window where there are few', () => {
    const track = new LabelTrack(3, 500)
    const record = { id: 'r' }
    for (const [i, label] of [0, 0, 1, 2].entries())
      track.add(label, 0.5, { record, start: 500 * i, end: 500 * (i + 1) })
    track.add(0, 1, { record, start: 2000, end: 2125 })
    const [binned] = track.records(8000)
    expect(binned).toMatchObject({ id: 'r', start: 0, end: 2125, bins: 5, width: 500 })
    const { text } = trackDrawing(binned, lanes, 'bases')
    // Neighbours of one label are one block; the last window is a quarter as wide.
    expect(pathsOf(text)).toEqual(['M0 18V0H2V18M4 18V0H4.25V18', 'M2 18V0H4V18', 'M0 26V13H4V0H4.25V26'])
    expect(text).toContain('aria-label="r: a 53 %, b and c 47 %"')
    // Of 1,125 and 1,000 bases.
    expect([...text.matchAll(/text-anchor="end">(\d+ %)</g)].map(([, percent]) => percent)).toEqual(['53 %', '47 %'])
  })

  it('are shares of the windows where they lie on each other, and nothing where there is none', () => {
    const track = new LabelTrack(3, 2)
    const record = { id: 'r' }
    track.add(0, 1, { record, start: 0, end: 4 })
    track.add(1, 0.5, { record, start: 2, end: 6 })
    track.add(1, 0.5, { record, start: 10, end: 12 })
    const [binned] = track.records(8000)
    const bins = Array.from({ length: binned.bins }, (_, bin) => [binned.share(bin, 0), binned.share(bin, 1)])
    expect(bins).toEqual([[1, 0], [0.5, 0.5], [0, 1], [0, 0], [0, 0], [0, 1]]) // biome-ignore format: a table
    expect(Array.from({ length: binned.bins }, (_, bin) => binned.score(bin))).toEqual([1, 0.75, 0.5, 0, 0, 0.5])
    expect(binned.shareOfAll(0)).toBe(0.4)
  })

  it('of half a million windows are sums over them, in bounded memory', () => {
    const random = new Random(9)
    const track = new LabelTrack(3, 500)
    const record = { id: 'chromosome' }
    const labels = Uint8Array.from({ length: 500_000 }, (_, i) => (i < 250_000 ? random.int(2) : random.int(3)))
    for (const [i, label] of labels.entries())
      track.add(label, label / 2, { record, start: 500 * i, end: 500 * (i + 1) })
    const [binned] = track.records(8000)
    expect(binned.bins).toBeLessThanOrEqual(1024)
    expect(binned.bins).toBeGreaterThan(512)
    const each = binned.width / 500
    for (const bin of [0, 100, binned.bins - 1]) {
      const inside = labels.subarray(bin * each, (bin + 1) * each)
      const share = (label: number) => inside.filter((l) => l === label).length / inside.length
      for (const label of [0, 1, 2]) expect(binned.share(bin, label)).toBeCloseTo(share(label), 9)
      expect(binned.score(bin)).toBeCloseTo(inside.reduce((a, b) => a + b, 0) / 2 / inside.length, 9)
    }
    expect(binned.shareOfAll(2)).toBeCloseTo(labels.filter((l) => l === 2).length / labels.length, 9)
    expect(trackDrawing(binned, lanes, 'bases').text.length).toBeLessThan(60_000)
  })

  it('of very many labels take no more numbers', () => {
    const track = new LabelTrack(1000, 1)
    const record = { id: 'r' }
    for (let i = 0; i < 5000; i++) track.add(i % 1000, 1, { record, start: i, end: i + 1 })
    const [binned] = track.records(8000)
    expect(binned.bins).toBeLessThanOrEqual(131)
    expect(binned.shareOfAll(7)).toBeCloseTo(0.001, 12)
  })

  it('keep the longest of many records, in the order of the input', () => {
    const track = new LabelTrack(1, 10)
    for (let i = 0; i < 100; i++) track.add(0, 1, { record: { id: `r${i}` }, start: 0, end: 1 + ((i * 37) % 100) })
    const records = track.records(8000)
    expect(records).toHaveLength(24)
    expect(Math.min(...records.map(({ length }) => length))).toBe(77)
    const order = records.map(({ id }) => Number(id.slice(1)))
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(track.further).toEqual({ records: 76, length: (76 * 77) / 2 })
  })

  it('along a recording are marked in minutes and seconds', () => {
    const track = new LabelTrack(3, 5)
    const record = { id: 'shore.wav' }
    for (let i = 0; i < 36; i++) track.add(0, 1, { record, start: 60 + 5 * i, end: 65 + 5 * i })
    const { text } = trackDrawing(track.records(8000)[0], lanes, 'seconds')
    expect([...text.matchAll(/middle">([^<]*)</g)].map(([, tick]) => tick)).toEqual(['1:00', '1:30', '2:00', '2:30', '3:00', '3:30', '4:00']) // biome-ignore format: a list
  })
})
