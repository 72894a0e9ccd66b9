/**
 * A seeded generator: xoshiro128** (Blackman and Vigna, 2018), its state filled by splitmix32. A stream is named by
 * numbers, `new Random(seed, step, shard)`, so that what is drawn depends on what it is for and never on who draws it.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #d: number
  #spare: number | null = null
  #pool = new Uint32Array(0)
  #next = 0

  constructor(...stream: number[]) {
    let x = 0x9e3779b9
    const next = () => {
      x = (x + 0x9e3779b9) | 0
      let z = x
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return z ^ (z >>> 15)
    }
    for (const part of stream) {
      x ^= part | 0
      x = next()
      x ^= Math.floor(part / 2 ** 32) | 0
      x = next()
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next() | 1
  }

  /** A whole number in [0, 2^32). */
  uint32(): number {
    if (this.#next === this.#pool.length) {
      this.#pool = this.uint32s(64)
      this.#next = 0
    }
    return this.#pool[this.#next++]
  }

  /** `count` of them at once: fast enough for a mask over all activations. */
  uint32s(count: number): Uint32Array<ArrayBuffer> {
    const out = new Uint32Array(count)
    let [a, b, c, d] = [this.#a, this.#b, this.#c, this.#d]
    for (let i = 0; i < count; i++) {
      const product = Math.imul(b, 5)
      out[i] = Math.imul((product << 7) | (product >>> 25), 9)
      const t = b << 9
      c ^= a
      d ^= b
      b ^= c
      a ^= d
      c ^= t
      d = (d << 11) | (d >>> 21)
    }
    this.#a = a
    this.#b = b
    this.#c = c
    this.#d = d
    return out
  }

  /** A real number in [low, high). */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.uint32() / 2 ** 32)
  }

  /** A whole number in [0, n). */
  int(n: number): number {
    return Math.floor(this.uniform() * n)
  }

  /** Normal with mean 0 and deviation 1 (Box and Muller). */
  normal(): number {
    if (this.#spare !== null) {
      const spare = this.#spare
      this.#spare = null
      return spare
    }
    const radius = Math.sqrt(-2 * Math.log((this.uint32() + 1) / 2 ** 32))
    const angle = 2 * Math.PI * this.uniform()
    this.#spare = radius * Math.sin(angle)
    return radius * Math.cos(angle)
  }

  /** Every order equally likely (Fisher and Yates), in place. */
  shuffle<A extends Int32Array>(items: A): A {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.int(i + 1)
      const kept = items[i]
      items[i] = items[j]
      items[j] = kept
    }
    return items
  }
}
