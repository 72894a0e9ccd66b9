/**
 * Runs all cases in turn, round after round, so that what else the machine does falls on all of them alike. Gives the
 * results as [case][round].
 */
export async function interleaved<Result>(
  cases: readonly (() => Promise<Result>)[],
  rounds: number,
  onRound: (done: number) => void = () => {},
): Promise<Result[][]> {
  const results: Result[][] = cases.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (const [i, one] of cases.entries()) results[i].push(await one())
    onRound(round + 1)
  }
  return results
}

/** The middle value, of an even number the mean of both. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
