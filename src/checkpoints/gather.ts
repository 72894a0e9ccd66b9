/** What is read of the file at once. */
const windowBytes = 2 ** 20

/**
 * Copies a tensor that lies in its file with strides, transposed or cut out of a larger one, into rows. Its values are visited as they
 * lie in the file, so that each part of the file is read once; no two of them may lie in the same place.
 */
export async function gather(
  { shape, begin, bytes }: { shape: readonly number[]; begin: number; bytes: number },
  strides: readonly number[],
  /** Bytes of a value. */
  size: number,
  fill: (begin: number, bytes: Uint8Array) => Promise<void>,
  into: Uint8Array,
): Promise<void> {
  const rowMajor = rowMajorStrides(shape)
  const dimensions = shape
    .map((count, i) => ({ count, from: strides[i] * size, to: rowMajor[i] * size, at: 0 }))
    .sort((a, b) => b.from - a.from)
  const end = dimensions.reduce((sum, { count, from }) => sum + (count - 1) * from, size)
  const whole = new Uint8Array(Math.min(windowBytes, end))
  let [window, start] = [whole.subarray(0, 0), 0]
  let [source, target] = [0, 0]
  for (let done = 0; done < bytes; done += size) {
    if (source + size > start + window.length) {
      start = source
      window = whole.subarray(0, Math.min(whole.length, end - start))
      await fill(begin + start, window)
    }
    for (let i = 0; i < size; i++) into[target + i] = window[source - start + i]
    for (let d = dimensions.length - 1; d >= 0; d--) {
      const dimension = dimensions[d]
      source += dimension.from
      target += dimension.to
      if (++dimension.at < dimension.count) break
      source -= dimension.from * dimension.count
      target -= dimension.to * dimension.count
      dimension.at = 0
    }
  }
}

/** How many values lie between neighbours along each dimension where rows follow each other. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides: number[] = []
  let stride = 1
  for (const count of shape.toReversed()) {
    strides.unshift(stride)
    stride *= count
  }
  return strides
}
