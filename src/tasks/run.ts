/** How many were left out, and what they are. */
export type LeftOutCount = [count: number, what: string]

/** A model over all inputs of a command. */
export interface Run<Result> {
  /** In the order of the inputs; to be drawn once. */
  results(): AsyncIterable<Result>
  /** A line on how far it is, after so many seconds; `over`: on what it did in all. */
  progress(seconds: number, over?: boolean): string
  /** What gave no result, and why. */
  leftOut(): LeftOutCount[]
}
