/** [256] samples of A-law (ITU-T G.711), in [-1, 1). */
export const alaw = Float32Array.from({ length: 256 }, (_, code) => {
  const bits = code ^ 0x55
  const exponent = (bits >> 4) & 7
  const mantissa = ((bits & 15) << 4) + 8
  const size = exponent === 0 ? mantissa : (mantissa + 256) << (exponent - 1)
  return (bits & 128 ? size : -size) / 32768
})

/** [256] samples of mu-law (ITU-T G.711), in [-1, 1). */
export const mulaw = Float32Array.from({ length: 256 }, (_, code) => {
  const bits = ~code & 255
  const size = ((((bits & 15) << 3) + 132) << ((bits >> 4) & 7)) - 132
  return (bits & 128 ? -size : size) / 32768
})
