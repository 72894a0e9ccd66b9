/** The other strand of codes (A C G T N = 0 to 4), read in its own direction; N stays N. */
export function reverseComplement(codes: Uint8Array): Uint8Array {
  const n = codes.length
  const out = new Uint8Array(n)
  for (let i = 0; i < n; i++) {
    const code = codes[n - 1 - i]
    out[i] = code < 4 ? 3 - code : code
  }
  return out
}
