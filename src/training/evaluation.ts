import { columns } from '../output/columns.js'
import { exitCodes, UserError } from '../shell/errors.js'
import { LabelTable } from './dataset.js'
import { type Metrics, measure } from './metrics.js'

/** What a model called the records of a labelled set. */
export class Calls {
  private readonly truth: number[] = []
  private readonly called: number[] = []

  private constructor(
    private readonly labels: LabelTable,
    readonly classes: string[],
  ) {}

  static async open(labels: string, classes: string[]): Promise<Calls> {
    return new Calls(await LabelTable.read(labels), classes)
  }

  /** Errors: 65 for a record without a label, or with one that the model does not know. */
  add(record: { id: string; file: string; line: number }, called: number): void {
    this.truth.push(this.labels.classOf(record, this.classes))
    this.called.push(called)
  }

  metrics(): Metrics {
    if (this.truth.length === 0) throw new UserError(`no records for ${this.labels.file}`, exitCodes.data)
    return measure(this.truth, this.called, this.classes.length)
  }
}

/** For people: the figures, then the truth (rows) against what was called (columns). */
export function metricsTable({ records, accuracy, mcc, macro_f1, confusion }: Metrics, classes: string[]): string {
  const figures = columns([
    ['records', records],
    ['accuracy', accuracy.toFixed(4)],
    ['MCC', mcc.toFixed(4)],
    ['macro F1', macro_f1.toFixed(4)],
  ])
  const matrix = columns([['truth \\ called', ...classes], ...classes.map((name, c) => [name, ...confusion[c]])])
  return `${figures}\n${matrix}`
}
