import type { FloatArray } from '../backends/backend.js'
import type { Segments } from '../backends/segments.js'

/**
 * Means of bins of `size` rows, one after the other from the start of a sequence; the last one may have fewer. Rows are added up in their
 * order and in float64, and what a chunk leaves open is carried to the next: the means are the same bytes whatever the cut.
 */
export class BinMeans {
  /** [slots, 1 + D] The rows of the open bin, and their sums; null before the first. */
  open: FloatArray | null = null

  constructor(
    private readonly size: number,
    private readonly slots: number,
  ) {}

  /** rows [T, D] -> the means of the bins that end among them, [bins, D], and how many each segment has. */
  push(
    rows: FloatArray,
    D: number,
    { offsets, start, ends, slot }: Segments,
  ): { means: Float32Array; counts: number[] } {
    this.open ??= new Float64Array(this.slots * (1 + D))
    const most = rows.length / D / this.size + 2 * ends.length
    const means = new Float32Array(Math.ceil(most) * D)
    const sums = new Float64Array(D)
    let [count, to] = [0, 0]
    const close = () => {
      for (let d = 0; d < D; d++) means[to++] = sums[d] / count
      sums.fill(0)
      count = 0
    }
    const counts = Array.from(ends, (end, s) => {
      const before = to
      const kept = slot[s] < 0 ? null : this.open!.subarray(slot[s] * (1 + D), (slot[s] + 1) * (1 + D))
      const resumes = kept !== null && start[s] > 0
      count = resumes ? kept[0] : 0
      if (resumes) sums.set(kept.subarray(1))
      else sums.fill(0)
      for (let at = offsets[s] * D; at < offsets[s + 1] * D; at += D) {
        for (let d = 0; d < D; d++) sums[d] += rows[at + d]
        if (++count === this.size) close()
      }
      if (end === 1 && count > 0) close()
      kept?.set(sums, 1)
      kept?.fill(count, 0, 1)
      return (to - before) / D
    })
    return { means: means.slice(0, to), counts }
  }
}
