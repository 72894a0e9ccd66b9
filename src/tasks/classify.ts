import type { Output } from '../engine/outputs.js'
import { exitCodes, UserError } from '../errors.js'
import { type Call, unclassified } from '../output/calls.js'
import type { Cells } from '../output/rows.js'
import { softmax } from '../runtime/softmax.js'
import type { ClassesHead, ModelSpec } from '../spec.js'
import type { Unit } from '../tokens/tokenizer.js'
import type { Prediction } from './predict.js'
import type { Span } from './windows.js'

export interface Classification {
  span: Span
  /** [labels] Divided by the temperature of the model. */
  logits: Float64Array
  /** Of the best label, before any --min-score. */
  best: number
  /** [labels] */
  probabilities: Float64Array
  /** The span deserves no label, whatever the model says (doubts.ts). */
  doubtful?: boolean
}

/** Class labels of a model; a model without classes is a usage error. */
export const labelsOf = (spec: ModelSpec): string[] => classesOf(spec).labels

export function wantClasses(spec: ModelSpec): Output {
  return { head: true, pool: classesOf(spec).pool }
}

export function classesOf({ head }: ModelSpec): ClassesHead {
  if (head?.kind === 'classes') return head
  throw new UserError('this model has no classes; longwave train classify --from gives it some', exitCodes.usage)
}

/** Both strands: the mean of their logits (the geometric mean of their odds). */
export function classification({ span, strands }: Prediction, spec: ModelSpec): Classification {
  const { temperature = 1 } = classesOf(spec)
  const logits = Float64Array.from(
    strands[0],
    (_, i) => strands.reduce((sum, strand) => sum + strand[i], 0) / strands.length / temperature,
  )
  const probabilities = softmax(logits)
  return { span, logits, best: bestOf(probabilities), probabilities }
}

/** The number of the most probable label. */
export const bestOf = (probabilities: Float64Array): number =>
  probabilities.reduce((most, p, i) => (p > probabilities[most] ? i : most), 0)

/**
 * Totals for --report: calls and how much they are for, in `unit`s. A class may be called `unclassified` too: it has
 * its own row.
 */
export class Report {
  private readonly totals: { label: string; count: number; amount: number }[]

  constructor(
    labels: readonly string[],
    private readonly unit: Unit,
  ) {
    this.totals = [...labels, unclassified].map((label) => ({ label, count: 0, amount: 0 }))
  }

  get columns(): string[] {
    return ['label', 'count', 'percent', this.unit]
  }

  add({ label, start, end }: Call): void {
    const total = this.totals[label ?? this.totals.length - 1]
    total.count++
    total.amount += end - start
  }

  /** Rows in the order of the labels; percent of all calls. */
  rows(): Cells[] {
    const all = this.totals.reduce((sum, { count }) => sum + count, 0)
    return this.totals.map(({ label, count, amount }) => [label, count, all === 0 ? 0 : (100 * count) / all, amount])
  }
}
