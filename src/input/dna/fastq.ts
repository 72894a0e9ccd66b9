import type { Collector } from './collector.js'
import type { Parser } from './fasta.js'
import { FastqShape, isQuality, plusFits } from './fastq-shape.js'
import { IGNORED, NEWLINE, nameByte } from './letters.js'
import { Line, maxLine } from './line.js'

const BETWEEN = 0 // at the start of a line, a new record is expected
const HEADER = 1
const SEQUENCE_START = 2
const SEQUENCE = 3
const PLUS = 4
const QUALITY_START = 5
const QUALITY = 6
const COMPLETE = 7 // as many qualities as bases, but only a header or the end of the file shows that they are its own
const LOST_START = 8 // at the start of a line, the next line with '@' that begins a record is looked for
const LOST = 9

const AT = 64
const PLUS_SIGN = 43
const CR = 13
const LF = 10

/**
 * FASTQ, with sequences and qualities over one line or several. Qualities are checked and thrown away: as many as
 * bases. A line with '@' where qualities are missing is the next header if a whole record begins with it (FastqShape),
 * and qualities otherwise; after a record whose parts do not fit, reading goes on at the next such line. So only the
 * broken record is lost. A record with a bad letter is followed to its end all the same.
 */
export class FastqParser implements Parser {
  private state = BETWEEN
  /** The header with its '@', and the line of the '+'. */
  private text = new Line()
  private plus = new Line()
  private plusDiffers = false
  /** Good records whose line with '+' repeats another header. */
  private otherPlus = 0
  private afterCr = false
  /** Characters of the sequence (bases and a final '*') and of the qualities so far, and lines of both. */
  private symbols = 0
  private sequenceLines = 0
  private qualities = 0
  private qualityLines = 0
  private readonly shape = new FastqShape()
  /** What came since the line with '@' that is being looked at, where it takes more to tell what it is. */
  private held: Uint8Array[] = []
  /** Lines with '@' that were taken for qualities of the open record, and may have been broken records. */
  private doubted: { id: string; line: number }[] = []

  constructor(
    private readonly out: Collector,
    public line = 1,
  ) {}

  write(block: Uint8Array) {
    if (this.held.length === 0) return this.parse(block)
    this.shape.read(block, 0)
    if (this.shape.fits === undefined) this.held.push(Uint8Array.from(block))
    else this.goOn(Buffer.concat([...this.held, block]))
  }

  end() {
    this.settle()
    if (this.state === HEADER) this.beginRecord()
    if (this.state === PLUS) this.state = this.endPlus()
    if (this.state === QUALITY) this.state = this.endQualities()
    if (this.state === COMPLETE) this.endRecord()
    else if (this.state === HEADER || this.state === SEQUENCE_START || this.state === SEQUENCE) {
      this.problem(`the file ends before the line with '+'`)
    } else if (this.state === QUALITY_START || this.state === QUALITY) {
      this.broken(`the file ends after ${this.qualities} of ${this.symbols} qualities`)
    }
    if (this.otherPlus > 0)
      this.out.warn(`lines with '+' that repeat another header: ${this.otherPlus} (the records are kept)`)
  }

  breakOff() {
    this.settle()
    if (this.state === COMPLETE) this.endRecord()
  }

  /** No more follows: lines that are held are told apart. */
  private settle() {
    while (this.held.length > 0) {
      this.shape.end()
      this.goOn(Buffer.concat(this.held))
    }
  }

  private parse(block: Uint8Array) {
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
            this.state = LOST_START
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
          else if (byte === AT) {
            if (!this.lookAhead(block, i)) return
          } else this.state = QUALITY
          break
        case QUALITY:
          i = this.quality(block, i)
          break
        case COMPLETE:
          if (byte === LF || byte === CR) this.endLine(block[i++], COMPLETE)
          else if (byte === AT && this.symbols > 0) this.state = this.endRecord()
          else if (byte === AT) {
            if (!this.lookAhead(block, i)) return
          } else {
            this.broken(`expected '@' and a header after the qualities, not ${nameByte(byte)}`)
            this.state = LOST
          }
          break
        case LOST_START:
          if (byte !== AT) this.state = LOST
          else if (!this.lookAhead(block, i)) return
          break
        case LOST:
          while (i < n && block[i] !== LF && block[i] !== CR) i++
          if (i < n) this.endLine(block[i++], LOST_START)
      }
    }
  }

  /**
   * Whether the line with '@' at `from` begins a record decides how it is read. False: that takes more bytes, which are
   * held.
   */
  private lookAhead(block: Uint8Array, from: number): boolean {
    const anyPlus = this.plusDiffers || this.otherPlus > 0
    this.shape.start({ anyPlus, bare: this.state !== QUALITY_START })
    this.shape.read(block, from)
    if (this.shape.fits === undefined) this.held = [Uint8Array.from(block.subarray(from))]
    else this.decide()
    return this.shape.fits !== undefined
  }

  /** Reads on from the line with '@' that was held. */
  private goOn(bytes: Uint8Array) {
    this.held = []
    this.decide()
    this.out.reserve(bytes.length)
    this.parse(bytes)
  }

  private decide() {
    const { fits, began, id, header } = this.shape
    if (this.state === LOST_START) {
      if (!fits && began) this.lose(id, this.line)
      this.state = fits ? BETWEEN : LOST
    } else if (this.state === COMPLETE) {
      // No sequence, and what may be its qualities.
      if (fits || began) this.state = this.endRecord()
      else {
        this.broken(`expected '@' and a header after the qualities`)
        this.state = LOST
      }
    } else if (fits && !this.completedBy(header)) {
      this.broken(`${this.symbols} bases but ${this.qualities} qualities before the next header, expected as many`)
      this.state = BETWEEN
    } else {
      if (began) this.doubted.push({ id, line: this.line })
      this.state = QUALITY
    }
  }

  /**
   * A line that completes the qualities, line for line, is theirs, unless it starts as the header of its record does.
   */
  private completedBy({ bytes, length }: Line): boolean {
    const complete = this.qualities + length === this.symbols && this.qualityLines + 1 === this.sequenceLines
    return complete && bytes[1] !== this.text.bytes[1]
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
    if (kind === NEWLINE) {
      this.sequenceLines++
      this.endLine(block[i], SEQUENCE_START)
    } else {
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
    if (i === n) return n
    this.endLine(block[i], this.endQualities())
    return i + 1
  }

  /** After a line of qualities: what comes next. */
  private endQualities(): number {
    this.qualityLines++
    if (this.qualities < this.symbols) return QUALITY_START
    if (this.qualities === this.symbols)
      return this.doubted.length > 0 && this.qualityLines !== this.sequenceLines ? COMPLETE : this.endRecord()
    this.broken(`${this.symbols} bases but ${this.qualities} characters of quality up to here, expected as many`)
    return LOST_START
  }

  private beginRecord(): number {
    const { out, text } = this
    this.symbols = this.sequenceLines = this.qualities = this.qualityLines = 0
    this.plusDiffers = false
    this.doubted = []
    out.begin(text.id(1), this.line)
    if (text.tooLong) this.problem(`header of more than ${maxLine} bytes`)
    return SEQUENCE_START
  }

  private endPlus(): number {
    this.plusDiffers = !plusFits(this.plus, this.text)
    if (this.symbols > 0) return QUALITY_START
    if (!this.plusDiffers) return COMPLETE
    this.problem(`the line with '+' does not repeat the header`)
    return LOST_START
  }

  private endRecord(): number {
    if (this.out.isOpen) {
      if (this.plusDiffers) this.otherPlus++
      this.out.end()
    }
    return BETWEEN
  }

  /** The open record is bad; a record is reported once. */
  private problem(text: string) {
    if (this.out.isOpen) this.out.problem(this.line, text)
  }

  /** The parts of the open record do not fit: what was taken for its qualities may have been records. */
  private broken(text: string) {
    this.problem(text)
    for (const { id, line } of this.doubted) this.lose(id, line)
    this.doubted = []
  }

  /** A record that was passed over on the way to one that fits. */
  private lose(id: string, line: number) {
    this.out.begin(id, line)
    this.out.problem(line, 'its parts do not fit together')
  }

  private endLine(byte: number, next: number) {
    this.line++
    this.afterCr = byte === CR
    this.state = next
  }
}
