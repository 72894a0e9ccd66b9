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
    out[0] = (re[0] + im[0]) ** 2
    out[half] = (re[0] - im[0]) ** 2
    for (let k = 1; k < half; k++) {
      const evenRe = (re[k] + re[half - k]) / 2
      const evenIm = (im[k] - im[half - k]) / 2
      const oddRe = (im[k] + im[half - k]) / 2
      const oddIm = (re[half - k] - re[k]) / 2
      const c = cos[k]
      const s = sin[k]
      out[k] = (evenRe + oddRe * c - oddIm * s) ** 2 + (evenIm + oddRe * s + oddIm * c) ** 2
    }
  }

  private transform(): void {
    const { re, im, cos, sin } = this
    const half = re.length
    let size = 1
    // Two stages at a time: half the loads and stores.
    for (; size * 4 <= half; size *= 4) {
      const step = this.n / (4 * size)
      for (let j = 0; j < size; j++) {
        // Factors of the stage of 2 size points, and those of 4 size points for j; for j + size they are -i times
        // these.
        const c1 = cos[2 * j * step]
        const s1 = sin[2 * j * step]
        const c2 = cos[j * step]
        const s2 = sin[j * step]
        for (let p = j; p < half; p += 4 * size) {
          const q = p + size
          const r = q + size
          const t = r + size
          const qRe = re[q] * c1 - im[q] * s1
          const qIm = re[q] * s1 + im[q] * c1
          const tRe = re[t] * c1 - im[t] * s1
          const tIm = re[t] * s1 + im[t] * c1
          const aRe = re[p] + qRe
          const aIm = im[p] + qIm
          const bRe = re[p] - qRe
          const bIm = im[p] - qIm
          const cRe = re[r] + tRe
          const cIm = im[r] + tIm
          const dRe = re[r] - tRe
          const dIm = im[r] - tIm
          const eRe = cRe * c2 - cIm * s2
          const eIm = cRe * s2 + cIm * c2
          const fRe = dRe * s2 + dIm * c2
          const fIm = dIm * s2 - dRe * c2
          re[p] = aRe + eRe
          im[p] = aIm + eIm
          re[r] = aRe - eRe
          im[r] = aIm - eIm
          re[q] = bRe + fRe
          im[q] = bIm + fIm
          re[t] = bRe - fRe
          im[t] = bIm - fIm
        }
      }
    }
    if (size === half) return
    const step = this.n / half
    for (let p = 0; p < size; p++) {
      const q = p + size
      const c = cos[p * step]
      const s = sin[p * step]
      const qRe = re[q] * c - im[q] * s
      const qIm = re[q] * s + im[q] * c
      re[q] = re[p] - qRe
      im[q] = im[p] - qIm
      re[p] += qRe
      im[p] += qIm
    }
  }
}
