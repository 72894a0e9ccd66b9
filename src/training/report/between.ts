import { type Interval, level, resamples } from '../metrics/bootstrap.js'

/** An interval as it stands below its figure. */
export const between = (interval: Interval): string =>
  interval === null ? 'no interval' : `${interval[0].toFixed(3)} to ${interval[1].toFixed(3)}`

/** What the intervals are. */
export const intervalNote = ({ seed }: { seed: number }, records: number): string =>
  `From ${records} records. Ranges are ${100 * level} % intervals, from ${resamples} samples of them drawn with replacement (seed ${seed}).`
