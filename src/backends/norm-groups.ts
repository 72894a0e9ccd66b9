/** First and last but one column of each of the groups that a norm takes by themselves. Errors: RangeError where they are not equal. */
export function groupsOf(cols: number, groups = 1): [from: number, to: number][] {
  const width = cols / groups
  if (!Number.isInteger(width)) throw new RangeError(`a norm of ${groups} groups of ${cols} columns`)
  return Array.from({ length: groups }, (_, g) => [g * width, (g + 1) * width])
}
