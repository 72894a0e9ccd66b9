import type { SequenceRecord } from '../input/dna/records.js'
import type { Prediction } from './predict.js'

/** How many were left out, and what they are. */
export type LeftOutCount = [count: number, what: string]

/** A model over all inputs of a command. */
export interface Run<Result> {
  /** In the order of the inputs; to be drawn once. */
  results(): AsyncIterable<Result>
  /** A line on how far it is, after so many seconds; `over`: on what it did in all. */
  progress(seconds: number, over?: boolean): string
  /** How it would be computed, and in how much memory, as text; in place of `results`, since inputs may be read for it. */
  dryRun(): Promise<string>
  /** What gave no result, and why. */
  leftOut(): LeftOutCount[]
}

/** Of a record that has been read to its end. */
export interface RecordSize {
  /** Bases, or seconds. */
  length: number
  /** The share of N among the bases; absent for audio. */
  nFraction?: number
}

/** A model that says one thing of each span. */
export interface SpanRun extends Run<Prediction> {
  /** To be asked when the prediction on its last span has come. `null`: reading the record broke off. */
  sizeOf(record: SequenceRecord): RecordSize | null
}
