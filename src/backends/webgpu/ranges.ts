/** From .. to - 1. */
export type Range = [from: number, to: number]

/**
 * Channels (or heads) that share something by groups, in ranges of up to `most`, one at the least: of whole groups, or each within one group.
 * Where groups are not equally large they stay together.
 */
export function rangesOf(channels: number, groups: number, most: number): Range[] {
  const each = channels / groups
  if (channels <= most || !Number.isInteger(each)) return [[0, channels]]
  const step = Math.max(1, Math.floor(most))
  const [block, width] = step >= each ? [channels, Math.floor(step / each) * each] : [each, step]
  const ranges: Range[] = []
  for (let first = 0; first < channels; first += block)
    for (let from = first; from < first + block; from += width)
      ranges.push([from, Math.min(from + width, first + block)])
  return ranges
}

/** The groups that a range of channels is in. */
export const groupsOf = ([from, to]: Range, channels: number, groups: number): Range => [
  Math.floor((from * groups) / channels),
  Math.ceil((to * groups) / channels),
]
