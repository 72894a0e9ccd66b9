import { setImmediate } from 'node:timers/promises'
import { Random } from '../../runtime/random.js'

/** Lower and upper end; null where no sample has the figure. */
export type Interval = [low: number, high: number] | null

export const resamples = 1000
export const level = 0.95
const stream = 4
/** Milliseconds of computing after which signals get through. */
const longest = 100

/**
 * 95 % intervals of figures by the percentile bootstrap (Efron 1979): what they are on samples of as many records drawn
 * with replacement. `figures` takes how often each record is in a sample; a figure that is null there, or infinite,
 * does not count. `progress` takes the samples that are done.
 */
export async function bootstrap<Name extends string>(
  records: number,
  seed: number,
  figures: (times: Int32Array) => Record<Name, number | null>,
  progress: (done: number) => void = () => {},
): Promise<Record<Name, Interval>> {
  const samples = new Map<Name, number[]>()
  const times = new Int32Array(records)
  let since = performance.now()
  for (let sample = 0; sample < resamples; sample++) {
    const random = new Random(seed, stream, sample)
    times.fill(0)
    for (let i = 0; i < records; i++) times[random.int(records)]++
    for (const [name, value] of Object.entries(figures(times)) as [Name, number | null][]) {
      const values = samples.get(name) ?? []
      samples.set(name, values)
      if (value !== null && Number.isFinite(value)) values.push(value)
    }
    if (performance.now() - since < longest) continue
    progress(sample + 1)
    await setImmediate()
    since = performance.now()
  }
  const interval = (values: number[]): Interval => {
    if (values.length === 0) return null
    const sorted = Float64Array.from(values).sort()
    return [quantile(sorted, (1 - level) / 2), quantile(sorted, (1 + level) / 2)]
  }
  return Object.fromEntries(Array.from(samples, ([name, values]) => [name, interval(values)])) as Record<Name, Interval>
}

/** Linear between the two nearest values, as numpy has it. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const at = share * (sorted.length - 1)
  const below = Math.floor(at)
  const above = Math.min(below + 1, sorted.length - 1)
  return sorted[below] + (at - below) * (sorted[above] - sorted[below])
}
