/** What a model should say of each record of a set: classes or texts, one after the other. */
export interface Targets {
  targets: Int32Array
  /** Where those of each record begin, and after the last. */
  targetOffsets: Int32Array
}

export const countOf = ({ targetOffsets }: Targets) => targetOffsets.length - 1

/** What a model should say of record i. */
export const targetOf = ({ targets, targetOffsets }: Targets, i: number) =>
  targets.subarray(targetOffsets[i], targetOffsets[i + 1])

/** Targets of records in shared memory. */
export function shareTargets(all: readonly ArrayLike<number>[]): Targets {
  const targetOffsets = new Int32Array(new SharedArrayBuffer(4 * (all.length + 1)))
  for (const [i, { length }] of all.entries()) targetOffsets[i + 1] = targetOffsets[i] + length
  const targets = new Int32Array(new SharedArrayBuffer(4 * targetOffsets[all.length]))
  for (const [i, target] of all.entries()) targets.set(target, targetOffsets[i])
  return { targets, targetOffsets }
}
