import type { Collector } from './collector.js'
import type { Parser } from './fasta.js'
import { IGNORED, NEWLINE, nameByte } from './letters.js'
import { Line, maxLine } from './line.js'

const BETWEEN = 0 // at the start of a line, a new record is expected
const HEADER = 1
const SEQUENCE_START = 2
const SEQUENCE = 3
const PLUS = 4
const QUALITY_START = 5
const QUALITY = 6
const LOST_START = 7 // the next line with '@' is taken for a header
const LOST = 8

const AT = 64
const PLUS_SIGN = 43
const CR = 13
const LF = 10

/** Printable characters from '!' to '~' are qualities. */
const isQuality = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 33 && byte <= 126 ? 1 : 0))

/**
 * FASTQ, with sequences and qualities over one line or several. Qualities are checked and thrown away: as many as bases,
 * which is also what tells an '@' among them from a header. A record with a bad letter is followed to its end all the
 * same; after a record whose parts do not fit, the next line with '@' is taken for a header.
 */
export class FastqParser implements Parser {
  private state = BETWEEN
  /** The header with its '@', and the line of the '+'. */
  private text = new Line()
  private plus = new Line()
  private afterCr = false
  /** Characters of the sequence (bases and a final '*') and of the qualities so far. */
  private symbols = 0
  private qualities = 0
  /** The quality line began with '@' and is kept, since it may turn out to be the next header. */
  private kept = false

  constructor(
    private readonly out: Collector,
    public line = 1,
  ) {}

  write(block: Uint8Array) {
    const { out, text } = this
    const n = block.length
    let i = 0
    while (i < n) {
      const byte = block[i]
      if (this.afterCr) {
        this.afterCr = false
        if (byte === LF) {
          i++
          continue
        }
      }
      switch (this.state) {
        case BETWEEN:
          if (byte === AT) {
            text.clear()
            this.state = HEADER
          } else if (byte === LF || byte === CR) this.endLine(block[i++], BETWEEN)
          else {
            out.problem(this.line, `expected '@' and a header, not ${nameByte(byte)}`)
            this.state = LOST
          }
          break
        case HEADER:
          i = text.add(block, i, n)
          if (i < n) this.endLine(block[i++], this.beginRecord())
          break
        case SEQUENCE_START:
          if (byte === AT) {
            this.problem(`expected a line with '+' after the sequence, not a header`)
            this.state = BETWEEN
          } else if (byte === PLUS_SIGN) {
            this.plus.clear()
            this.state = PLUS
          } else if (byte === LF || byte === CR) this.endLine(block[i++], SEQUENCE_START)
          else this.state = SEQUENCE
          break
        case SEQUENCE:
          i = this.sequence(block, i)
          break
        case PLUS:
          i = this.plus.add(block, i, n)
          if (i < n) {
            this.endLine(block[i++], this.endPlus())
          }
          break
        case QUALITY_START:
          if (byte === LF || byte === CR) this.endLine(block[i++], QUALITY_START)
          else {
            this.kept = byte === AT
            if (this.kept) text.clear()
            this.state = QUALITY
          }
          break
        case QUALITY:
          i = this.quality(block, i)
          break
        case LOST_START:
          this.state = byte === AT ? BETWEEN : LOST
          break
        case LOST:
          while (i < n && block[i] !== LF && block[i] !== CR) i++
          if (i < n) this.endLine(block[i++], LOST_START)
      }
    }
  }

  end() {
    if (this.state === HEADER) this.beginRecord()
    if (this.state === PLUS) this.state = this.endPlus()
    if (this.state === QUALITY) this.state = this.endQualities(true)
    if (this.state === HEADER || this.state === SEQUENCE_START || this.state === SEQUENCE) {
      this.problem(`the file ends before the line with '+'`)
    } else if (this.state !== BETWEEN && this.state < LOST_START) {
      this.problem(`the file ends after ${this.qualities} of ${this.symbols} qualities`)
    }
  }

  private sequence(block: Uint8Array, from: number): number {
    const { out } = this
    const n = block.length
    let i = from
    if (out.isOpen) {
      i = out.append(block, from, n)
      this.symbols += i - from
      if (i === n) return n
    }
    const kind = out.table[block[i]]
    if (kind === NEWLINE) this.endLine(block[i], SEQUENCE_START)
    else {
      if (out.isOpen) out.accept(block[i], this.line)
      if (kind !== IGNORED) this.symbols++
    }
    return i + 1
  }

  private quality(block: Uint8Array, from: number): number {
    const n = block.length
    let i = from
    for (;;) {
      while (i < n && isQuality[block[i]] === 1) i++
      if (i === n || block[i] === LF || block[i] === CR) break
      this.problem(`${nameByte(block[i])} among the qualities, expected characters from '!' to '~'`)
      i++
    }
    this.qualities += i - from
    if (this.kept) this.text.add(block, from, i)
    if (i === n) return n
    const next = this.endQualities(false)
    this.endLine(block[i], next)
    return i + 1
  }

  /** After a line of qualities: what comes next. */
  private endQualities(atEnd: boolean): number {
    if (this.qualities < this.symbols) return QUALITY_START
    if (this.qualities === this.symbols) return this.endRecord()
    const { kept } = this
    this.problem(`${this.symbols} bases but ${this.qualities} characters of quality up to here, expected as many`)
    if (!kept) return LOST_START
    // The next header was taken for qualities: go on from it.
    const next = this.beginRecord()
    if (atEnd) this.problem(`the file ends before the line with '+'`)
    return atEnd ? BETWEEN : next
  }

  private beginRecord(): number {
    const { out, text } = this
    this.symbols = this.qualities = 0
    out.begin(text.id(1), this.line)
    if (text.tooLong) this.problem(`header of more than ${maxLine} bytes`)
    return SEQUENCE_START
  }

  /** The '+' stands alone or is followed by the header or the id once more. */
  private endPlus(): number {
    if (!this.plusFits()) {
      this.problem(`the line with '+' does not repeat the header`)
      if (this.symbols === 0) return LOST_START
    }
    return this.symbols === 0 ? this.endRecord() : QUALITY_START
  }

  private plusFits(): boolean {
    if (this.plus.length === 1) return true
    const [again, header] = [this.plus, this.text].map((line) => line.toString().slice(1).trimEnd())
    return again === '' || again === header || again === this.text.id(1)
  }

  private endRecord(): number {
    if (this.out.isOpen) this.out.end()
    return BETWEEN
  }

  /** The open record is bad; a record is reported once. */
  private problem(text: string) {
    if (this.out.isOpen) this.out.problem(this.line, text)
  }

  private endLine(byte: number, next: number) {
    this.line++
    this.afterCr = byte === CR
    this.state = next
  }
}
