import type { ModelSpec } from '../spec.js'
import type { Classification } from './classify.js'
import type { Prediction } from './predict.js'
import type { LeftOutCount } from './run.js'

/** What is this many times shorter than the shortest record of training says too little. */
const farShorter = 4

/** The share of N above which DNA has no label, unless another is asked for. */
export const defaultMaxN = 0.5

/** Finds the spans that deserve no label, whatever the model says of them, and counts them. */
export class Doubts {
  private readonly shortest: number
  private mostlyN = 0
  private tooShort = 0
  private silent = 0

  constructor(
    { trained_shortest }: ModelSpec,
    private readonly maxN = defaultMaxN,
  ) {
    this.shortest = (trained_shortest ?? 0) / farShorter
  }

  /** The classification of a span, with the mark where there is a doubt. */
  of(classification: Classification, prediction: Prediction): Classification {
    return this.isDoubtful(prediction) ? { ...classification, doubtful: true } : classification
  }

  private isDoubtful({ span, n, silent }: Prediction): boolean {
    const length = span.end - span.start
    if (silent) this.silent++
    else if (n !== undefined && n > this.maxN * length) this.mostlyN++
    else if (n !== undefined && length < this.shortest) this.tooShort++
    else return false
    return true
  }

  counts(): LeftOutCount[] {
    return [
      [this.mostlyN, 'mostly N'],
      [this.tooShort, 'far shorter than what the model learnt from'],
      [this.silent, 'silent'],
    ]
  }
}
