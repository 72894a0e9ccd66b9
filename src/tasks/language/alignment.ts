/**
 * The tokens of one alignment, newest first. Alignments share what they have in common. (Made by `new`: V8 puts
 * literals of a place where they once lived long among the old objects from then on, and lets tens of megabytes of them
 * pile up.)
 */
export class Spelled {
  /**
   * `length`: tokens up to this one. `before`: null at the start and where the rest was given already; `lastBefore`: its
   * last row.
   */
  constructor(
    readonly token: number,
    readonly first: number,
    readonly length: number,
    public before: Spelled | null,
    readonly lastBefore: number,
  ) {}
}

/**
 * Log probabilities of a text over the rows so far, by how its alignments end, and the likeliest alignment of each
 * kind.
 */
export interface Ending {
  /** Of all alignments. */
  sum: number
  /** Of the likeliest alone. */
  best: number
  spelled: Spelled | null
  /** The last row of the newest token of `spelled`. */
  last: number
  /** The likeliest one has its last token in this row first; `spelled` does not have it yet. */
  begins: boolean
}

/** The first row of the token after the first `length` ones; Infinity: there is none. */
export function firstAfter(spelled: Spelled | null, length: number): number {
  let first = Number.POSITIVE_INFINITY
  for (let at = spelled; at && at.length > length; at = at.before) first = at.first
  return first
}

/** Lets go of the first `length` tokens. */
export function cut(spelled: Spelled | null, length: number): void {
  for (let at = spelled; at; at = at.before) if (at.before && at.before.length <= length) at.before = null
}

export const never = (): Ending => ({ sum: -Infinity, best: -Infinity, spelled: null, last: -1, begins: false })

export function empty(ending: Ending): void {
  ending.sum = -Infinity
  ending.best = -Infinity
  ending.spelled = null
  ending.begins = false
}

/**
 * The alignments of `from`, one row longer, join those of `into`; with `begins`, by a token that is not in them yet.
 */
export function join(into: Ending, from: Ending, logP: number, begins: boolean): void {
  into.sum = logAdd(into.sum, from.sum + logP)
  const best = from.best + logP
  if (best <= into.best) return
  into.best = best
  into.spelled = from.spelled
  into.last = from.last
  into.begins = begins
}

/** log(exp(a) + exp(b)) */
export function logAdd(a: number, b: number): number {
  const top = Math.max(a, b)
  return top === -Infinity ? top : top + Math.log1p(Math.exp(Math.min(a, b) - top))
}
