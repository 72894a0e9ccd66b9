/**
 * Power spectra of real signals whose length is a power of two, in float64: the even and odd samples as one complex
 * signal of half the length (radix 2, in place), then taken apart. Tables are made once.
 */
export class PowerSpectrum {
  private readonly re: Float64Array
  private readonly im: Float64Array
  /** [n / 2] cos and -sin of 2 pi k / n. */
  private readonly cos: Float64Array
  private readonly sin: Float64Array
  private readonly reversed: Uint32Array

  constructor(readonly n: number) {
    if (n < 4 || !Number.isInteger(Math.log2(n)))
      throw new Error(`an FFT of ${n} samples: expected a power of two >= 4`)
    const half = n / 2
    this.re = new Float64Array(half)
    this.im = new Float64Array(half)
    this.cos = Float64Array.from({ length: half }, (_, k) => Math.cos((2 * Math.PI * k) / n))
    this.sin = Float64Array.from({ length: half }, (_, k) => -Math.sin((2 * Math.PI * k) / n))
    this.reversed = new Uint32Array(half)
    for (let i = 1; i < half; i++) this.reversed[i] = (this.reversed[i >> 1] >> 1) | (i & 1 ? half >> 1 : 0)
  }

  /** out [n / 2 + 1] = |X[k]|^2 with X[k] = sum over j of x[j] exp(-2 pi i j k / n), x [n]. */
  of(x: Float64Array, out: Float64Array): void {
    const { re, im, cos, sin, reversed } = this
    const half = this.n / 2
    for (let i = 0; i < half; i++) {
      re[reversed[i]] = x[2 * i]
      im[reversed[i]] = x[2 * i + 1]
    }
    this.transform()
    for (let k = 0; k <= half; k++) {
      const a = k % half
      const b = (half - k) % half
      const evenRe = (re[a] + re[b]) / 2
      const evenIm = (im[a] - im[b]) / 2
      const oddRe = (im[a] + im[b]) / 2
      const oddIm = (re[b] - re[a]) / 2
      const c = k < half ? cos[k] : -1
      const s = k < half ? sin[k] : 0
      out[k] = (evenRe + oddRe * c - oddIm * s) ** 2 + (evenIm + oddRe * s + oddIm * c) ** 2
    }
  }

  private transform(): void {
    const { re, im, cos, sin } = this
    const half = re.length
    for (let size = 2; size <= half; size *= 2) {
      const step = this.n / size
      const middle = size / 2
      for (let start = 0; start < half; start += size) {
        for (let j = 0; j < middle; j++) {
          const p = start + j
          const q = p + middle
          const c = cos[j * step]
          const s = sin[j * step]
          const r = re[q] * c - im[q] * s
          const i = re[q] * s + im[q] * c
          re[q] = re[p] - r
          im[q] = im[p] - i
          re[p] += r
          im[p] += i
        }
      }
    }
  }
}
