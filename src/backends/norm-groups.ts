/** Of each group of a norm the first column, and the one after the last. Errors: RangeError where groups would not be equal. */
export function groupsOf(cols: number, groups = 1): [from: number, to: number][] {
  const width = cols / groups
  if (!Number.isInteger(width)) throw new RangeError(`a norm of ${groups} groups of ${cols} columns`)
  return Array.from({ length: groups }, (_, g) => [g * width, (g + 1) * width])
}
