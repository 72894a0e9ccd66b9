type Parts = readonly ArrayLike<number>[]

/** One array of all parts, one after the other. */
export const concatenate = (parts: Parts) => filled(new Float32Array(lengthOf(parts)), parts)

/** The same in float64. */
export const concatenate64 = (parts: Parts) => filled(new Float64Array(lengthOf(parts)), parts)

const lengthOf = (parts: Parts) => parts.reduce((sum, { length }) => sum + length, 0)

function filled<N extends Float32Array | Float64Array>(all: N, parts: Parts): N {
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
