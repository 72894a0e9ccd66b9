import { editCounts } from './edit-distance.js'

/**
 * The name that `typed` was probably meant to be: the one of `names` with the fewest edits, the first among equals.
 * Undefined where the nearest takes more edits than a slip of the fingers: half of the letters, or 2 of a short name
 * and a third of a long one.
 */
export function nearest(typed: string, names: Iterable<string>): string | undefined {
  const most = Math.max(2, Math.floor(typed.length / 3))
  let best: { name: string; edits: number } | undefined
  for (const name of names) {
    // Anything shorter or longer by more than that is out of reach, and a typed word may be as long as a file.
    if (Math.abs(name.length - typed.length) > most) continue
    const { substitutions, deletions, insertions } = editCounts([...typed], [...name])
    const edits = substitutions + deletions + insertions
    if (edits <= most && 2 * edits < typed.length && edits < (best?.edits ?? Infinity)) best = { name, edits }
  }
  return best?.name
}

/** `; did you mean classify?`, or nothing where no name is near. */
export function didYouMean(typed: string, names: Iterable<string>): string {
  const name = nearest(typed, names)
  return name === undefined ? '' : `; did you mean ${name}?`
}
