/** How a recognised text differs from what was said, over one or many texts. */
export interface EditCounts {
  /** Words or characters of the references. */
  length: number
  substitutions: number
  deletions: number
  insertions: number
}

/** Word edits between two texts, as they are: normalise them first. */
export const wordEdits = (reference: string, hypothesis: string) => editCounts(wordsOf(reference), wordsOf(hypothesis))

/** Character edits (code points, single spaces between words included). */
export const characterEdits = (reference: string, hypothesis: string) => editCounts([...reference], [...hypothesis])

const wordsOf = (text: string) => text.split(/\s+/).filter((word) => word !== '')

/** Over many texts. */
export function totalEdits(texts: readonly EditCounts[]): EditCounts {
  const total: EditCounts = { length: 0, substitutions: 0, deletions: 0, insertions: 0 }
  for (const counts of texts) for (const key of Object.keys(total) as (keyof EditCounts)[]) total[key] += counts[key]
  return total
}

export const editsOf = ({ substitutions, deletions, insertions }: EditCounts) => substitutions + deletions + insertions

/**
 * Edits per word or character said: WER or CER, above 1 where more is inserted than was said; 0 for nothing in place of
 * nothing, infinite for something.
 */
export function errorRate(counts: EditCounts): number {
  const edits = editsOf(counts)
  return edits === 0 ? 0 : edits / counts.length
}

/**
 * The fewest substitutions, deletions and insertions that turn the reference into the hypothesis (Levenshtein); among
 * equals those that leave most of it right, so with the fewest substitutions.
 */
export function editCounts(reference: readonly string[], hypothesis: readonly string[]): EditCounts {
  const [n, m] = [reference.length, hypothesis.length]
  // An edit costs `edit`, a substitution 1 more: their number is what is left after dividing, for there are fewer than
  // `edit`.
  const edit = Math.min(n, m) + 1
  let row = Float64Array.from({ length: m + 1 }, (_, j) => j * edit)
  for (let i = 1; i <= n; i++) {
    const next = new Float64Array(m + 1)
    next[0] = i * edit
    for (let j = 1; j <= m; j++) {
      const aligned = row[j - 1] + (reference[i - 1] === hypothesis[j - 1] ? 0 : edit + 1)
      next[j] = Math.min(aligned, row[j] + edit, next[j - 1] + edit)
    }
    row = next
  }
  const edits = Math.floor(row[m] / edit)
  const substitutions = row[m] % edit
  // Deletions and insertions are the other edits, and they differ by n - m.
  const deletions = (edits - substitutions + n - m) / 2
  return { length: n, substitutions, deletions, insertions: deletions - (n - m) }
}
