import type { AttentionArgs, AttentionCache } from './backend.js'
import { type Part, readingOrder } from './segments.js'

/** A segment on its way through attention. */
export interface AttentionPart extends Part {
  /** Rows of the sequence before it. */
  start: number
  /** How many of those its first row still sees: their keys are in the cache. */
  seen: number
}

/** Where position p of a sequence lies in a cache of `capacity` rows. */
export const placeOf = (position: number, capacity: number): number => position % capacity

/** Numbers of grouped queries, and the segments in order. Errors: RangeError for shapes that do not fit and a cache that is too small. */
export function readAttention(
  { q, k, v, heads, width, window, segments }: AttentionArgs,
  cache: AttentionCache | null,
) {
  const groups = k.cols / width
  if (q.cols !== heads * width || heads % groups !== 0)
    throw new RangeError(`queries of ${q.cols} and keys of ${k.cols} numbers for ${heads} heads of ${width}`)
  for (const x of [k, v])
    if (x.rows !== q.rows || x.cols !== k.cols)
      throw new RangeError(`keys or values are [${x.rows}, ${x.cols}], expected [${q.rows}, ${k.cols}]`)
  const capacity = cache ? cache.keys.cols / k.cols : 0
  const parts = readingOrder(segments, 'forward', q.rows).map((part, s): AttentionPart => {
    const start = part.resumes && cache ? segments.start[s] : 0
    if (cache && part.slot >= 0) {
      const least = Math.min(window, start + part.rows)
      if (capacity < least || part.slot >= cache.keys.rows)
        throw new RangeError(`a cache [${cache.keys.rows}, ${capacity} rows] for slot ${part.slot} and ${least} rows`)
    }
    return { ...part, start, seen: Math.min(start, window - 1) }
  })
  return { groups, capacity, parts }
}
