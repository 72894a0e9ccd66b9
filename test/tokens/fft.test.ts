import { describe, expect, it } from 'vitest'
import { Random } from '../../src/runtime/random.js'
import { PowerSpectrum } from '../../src/tokens/fft.js'

describe('the power spectrum', () => {
  it('is that of the definition, for every length from 4 to 512', () => {
    for (let n = 4; n <= 512; n *= 2) {
      const random = new Random(n)
      const x = Float64Array.from({ length: n }, () => random.normal())
      const out = new Float64Array(n / 2 + 1)
      new PowerSpectrum(n).of(x, out)
      for (let k = 0; k <= n / 2; k++) {
        let [re, im] = [0, 0]
        for (let j = 0; j < n; j++) {
          re += x[j] * Math.cos((2 * Math.PI * ((j * k) % n)) / n)
          im -= x[j] * Math.sin((2 * Math.PI * ((j * k) % n)) / n)
        }
        expect(Math.abs(out[k] - (re * re + im * im)) / n).toBeLessThan(1e-12)
      }
    }
  })

  it('refuses other lengths', () => {
    for (const n of [0, 2, 6, 400]) expect(() => new PowerSpectrum(n)).toThrow(/power of two/)
  })
})
