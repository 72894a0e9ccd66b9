/** How a recognised text differs from what was said, over one or many texts. */
export interface EditCounts {
  /** Words or characters of the references. */
  length: number
  substitutions: number
  deletions: number
  insertions: number
}

/** Word edits over pairs of texts, as they are: normalise them first. */
export const wordEdits = (references: readonly string[], hypotheses: readonly string[]) =>
  totalEdits(references, hypotheses, (text) => text.split(/\s+/).filter((word) => word !== ''))

/** Character edits (code points, single spaces between words included). */
export const characterEdits = (references: readonly string[], hypotheses: readonly string[]) =>
  totalEdits(references, hypotheses, (text) => [...text])

/**
 * Edits per word or character said: WER or CER, above 1 where more is inserted than was said; 0 for nothing in place of
 * nothing.
 */
export function errorRate({ length, substitutions, deletions, insertions }: EditCounts): number {
  const edits = substitutions + deletions + insertions
  return edits === 0 ? 0 : edits / length
}

function totalEdits(
  references: readonly string[],
  hypotheses: readonly string[],
  split: (text: string) => string[],
): EditCounts {
  if (references.length !== hypotheses.length)
    throw new Error(`${references.length} references and ${hypotheses.length} hypotheses`)
  const total: EditCounts = { length: 0, substitutions: 0, deletions: 0, insertions: 0 }
  for (const [i, reference] of references.entries()) {
    const counts = editCounts(split(reference), split(hypotheses[i]))
    for (const key of Object.keys(total) as (keyof EditCounts)[]) total[key] += counts[key]
  }
  return total
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
