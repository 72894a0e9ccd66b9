import { IGNORED, letterCodes, N, NEWLINE, STAR } from './letters.js'
import { Line, maxLine } from './line.js'

const HEADER = 0
const SEQUENCE_START = 1 // of a line
const SEQUENCE = 2
const PLUS = 3
const QUALITY_START = 4
const QUALITY = 5
const AFTER = 6 // the parts are whole: the next record, or the end, must follow
const FITS = 7
const FAILS = 8

const AT = 64
const PLUS_SIGN = 43
const CR = 13
const LF = 10

/** Printable characters from '!' to '~' are qualities. */
export const isQuality = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 33 && byte <= 126 ? 1 : 0))

/**
 * The line with '+' stands alone or is followed by the header or its id once more. Both lines with their first
 * character.
 */
export function plusFits(plus: Line, header: Line): boolean {
  if (plus.length === 1) return true
  const [again, whole] = [plus, header].map((line) => line.toString().slice(1).trimEnd())
  return again === '' || again === whole || again === header.id(1)
}

export interface ShapeOptions {
  /** The line with '+' need not repeat the header: it does not in this file. */
  anyPlus: boolean
  /** A record without an id or a sequence is one: qualities may look like it. */
  bare: boolean
}

/**
 * Whether a line with '@' begins a FASTQ record: a header, letters of DNA, a line with '+', and as many qualities as
 * letters. So a header is told from qualities that start with '@', and the next record is found behind a broken one.
 * It takes no more bytes than it needs: mostly those up to the first character of the next line.
 */
export class FastqShape {
  private state = FAILS
  /** With its '@'. */
  readonly header = new Line()
  private readonly plus = new Line()
  private options: ShapeOptions = { anyPlus: false, bare: false }
  private symbols = 0
  private sequenceLines = 0
  private qualities = 0
  private qualityLines = 0
  private bytes = 0

  start(options: ShapeOptions) {
    this.options = options
    this.state = HEADER
    this.header.clear()
    this.symbols = this.sequenceLines = this.qualities = this.qualityLines = this.bytes = 0
  }

  /** undefined: it takes more bytes to tell. */
  get fits(): boolean | undefined {
    return this.state < FITS ? undefined : this.state === FITS
  }

  /**
   * It began as a record does: with a header and a line of DNA, or a header that cannot be qualities since it holds
   * blanks.
   */
  get began() {
    const { bytes, length } = this.header
    return this.sequenceLines > 0 || bytes.subarray(0, length).some((byte) => isQuality[byte] === 0)
  }

  get id() {
    return this.header.id(1)
  }

  /** Takes `block[from..]`, as much of it as is needed. */
  read(block: Uint8Array, from: number) {
    const n = block.length
    for (let i = from; i < n && this.state < FITS; ) i = this.step(block, i, n)
    this.bytes += n - from
    // Memory stays bounded: so much that fits is a record.
    if (this.bytes > maxLine && this.state < FITS) this.state = this.symbols > 0 ? FITS : FAILS
  }

  /** The file ends here. */
  end() {
    if (this.state === SEQUENCE) this.sequenceLines++
    if (this.state === PLUS) this.endPlus()
    if (this.state === QUALITY) this.endQualities()
    this.state = this.state === AFTER || this.state === FITS ? FITS : FAILS
  }

  private step(block: Uint8Array, from: number, n: number): number {
    const byte = block[from]
    const newline = byte === LF || byte === CR
    let i = from
    switch (this.state) {
      case HEADER:
        i = this.header.add(block, i, n)
        if (i < n) this.endHeader()
        return i
      case SEQUENCE_START:
        if (newline) return i + 1
        this.state = SEQUENCE
        if (byte !== PLUS_SIGN) return i
        this.plus.clear()
        this.state = this.symbols > 0 || this.options.bare ? PLUS : FAILS
        return i
      case SEQUENCE:
        for (; i < n; i++) {
          const kind = letterCodes[block[i]]
          if (kind <= N || kind === STAR) this.symbols++
          else if (kind !== IGNORED) {
            this.state = kind === NEWLINE ? SEQUENCE_START : FAILS
            if (kind === NEWLINE) this.sequenceLines++
            return i
          }
        }
        return i
      case PLUS:
        i = this.plus.add(block, i, n)
        if (i < n) this.endPlus()
        return i
      case QUALITY_START:
        if (newline) return i + 1
        this.state = QUALITY
        return i
      case QUALITY:
        while (i < n && isQuality[block[i]] === 1) i++
        this.qualities += i - from
        if (i === n) return n
        if (block[i] === LF || block[i] === CR) this.endQualities()
        else this.state = FAILS
        return i
      default: // AFTER
        if (newline) return i + 1
        this.state = byte === AT ? FITS : FAILS
        return i
    }
  }

  private endHeader() {
    const { tooLong, length } = this.header
    this.state = tooLong || (length === 1 && !this.options.bare) ? FAILS : SEQUENCE_START
  }

  private endPlus() {
    if (!this.options.anyPlus && !plusFits(this.plus, this.header)) this.state = FAILS
    else this.state = this.symbols === 0 ? AFTER : QUALITY_START
  }

  private endQualities() {
    this.qualityLines++
    if (this.qualities < this.symbols) this.state = QUALITY_START
    else if (this.qualities > this.symbols) this.state = FAILS
    else this.state = this.sequenceLines === 1 && this.qualityLines === 1 ? FITS : AFTER
  }
}
