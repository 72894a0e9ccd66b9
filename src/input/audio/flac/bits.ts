/**
 * Reads the bits of up to 256 MB, the highest first. Past the end they are zero: `isPastEnd` says whether any was read
 * there.
 */
export class BitReader {
  /** The next bit. */
  private at: number

  /** `start`: the byte to begin at. */
  constructor(
    private readonly bytes: Uint8Array,
    start: number,
  ) {
    this.at = start * 8
  }

  get isPastEnd(): boolean {
    return this.at > this.bytes.length * 8
  }

  /** The byte that comes after the bits read so far; those left of a byte are passed over. */
  get byte(): number {
    return Math.ceil(this.at / 8)
  }

  /** A number of up to 32 bits. */
  unsigned(bits: number): number {
    if (bits === 0) return 0
    const value = this.next32() >>> (32 - bits)
    this.at += bits
    return value
  }

  /** The same in two's complement; up to 33 bits, which are those of a difference of two samples of 32. */
  signed(bits: number): number {
    if (bits === 0) return 0
    if (bits > 32) return this.signed(bits - 1) * 2 + this.unsigned(1)
    const value = (this.next32() | 0) >> (32 - bits)
    this.at += bits
    return value
  }

  /** How many zeros there are in front of the next one, which is passed as well. */
  unary(): number {
    let zeros = 0
    for (;;) {
      const leading = Math.clz32(this.next32())
      zeros += leading
      if (leading < 32) {
        this.at += leading + 1
        return zeros
      }
      this.at += 32
      if (this.isPastEnd) return zeros
    }
  }

  /** out [from..to): Rice codes, a unary quotient and `bits` of remainder each; odd ones are negative numbers. */
  rice(bits: number, out: Float64Array, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const next = this.next32()
      const leading = Math.clz32(next)
      // Most codes lie within 32 bits, and their numbers within 31.
      if (leading + bits < 32) {
        const rest = bits === 0 ? 0 : (next << (leading + 1)) >>> (32 - bits)
        const folded = (leading << bits) + rest
        this.at += leading + 1 + bits
        out[i] = (folded >> 1) ^ -(folded & 1)
      } else {
        const folded = this.unary() * 2 ** bits + this.unsigned(bits)
        if (this.isPastEnd) return
        out[i] = folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2
      }
    }
  }

  private next32(): number {
    const { bytes, at } = this
    const i = at >> 3
    const word = (bytes[i] << 24) | (bytes[i + 1] << 16) | (bytes[i + 2] << 8) | bytes[i + 3]
    return ((word << (at & 7)) | (bytes[i + 4] >> (8 - (at & 7)))) >>> 0
  }
}
