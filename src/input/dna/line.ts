import { decodeText } from '../text.js'

/** Longest header, or JSON around a sequence, in bytes: a file without line ends must not fill the memory. */
export const maxLine = 1 << 20

/** The text of a header line, gathered over block borders and used again for the next one. */
export class Line {
  bytes = Buffer.allocUnsafe(4096)
  length = 0

  clear() {
    this.length = 0
  }

  /**
   * Takes `source[from..to)` up to a line end (CR or LF) and returns its index, or `to`. Bytes beyond the limit are
   * counted only.
   */
  add(source: Uint8Array, from: number, to: number): number {
    let end = from
    while (end < to && source[end] !== 10 && source[end] !== 13) end++
    const length = this.length + end - from
    if (length > this.bytes.length) this.resize(length)
    const { bytes } = this
    const room = Math.min(length, bytes.length)
    for (let at = this.length, i = from; at < room; at++, i++) bytes[at] = source[i]
    this.length = length
    return end
  }

  push(byte: number) {
    if (this.length === this.bytes.length) this.resize(this.length + 1)
    if (this.length < this.bytes.length) this.bytes[this.length] = byte
    this.length++
  }

  get tooLong() {
    return this.length > maxLine
  }

  /** The text from `from` up to the first white space, leading blanks skipped. */
  id(from = 0): string {
    const { bytes } = this
    let start = from
    while (start < this.length && isBlank(bytes[start])) start++
    let end = start
    let ascii = 0
    while (end < this.length && !isBlank(bytes[end])) ascii |= bytes[end++]
    return ascii < 128 ? bytes.toString('latin1', start, end) : decodeText(bytes.subarray(start, end))
  }

  /** The text from byte `from` on. */
  toString(from = 0) {
    return decodeText(this.bytes.subarray(from, Math.min(this.length, this.bytes.length)))
  }

  private resize(length: number) {
    if (length <= this.bytes.length || this.bytes.length === maxLine) return
    const bytes = Buffer.allocUnsafe(Math.min(maxLine, Math.max(length, 2 * this.bytes.length)))
    this.bytes.copy(bytes, 0, 0, this.length)
    this.bytes = bytes
  }
}

const isBlank = (byte: number) => byte === 32 || (byte >= 9 && byte <= 13)
