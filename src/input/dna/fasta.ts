import type { Collector } from './collector.js'
import { NEWLINE } from './letters.js'
import { Line, maxLine } from './line.js'

/** Reads blocks of bytes, cut anywhere, into a collector. */
export interface Parser {
  /** The line that was reached, from 1. */
  readonly line: number
  write(block: Uint8Array): void
  /** The file ends here. */
  end(): void
  /** Reading breaks off here: what is whole is handed out. Absent: nothing is held. */
  breakOff?(): void
}

const START = 0 // of a line
const HEADER = 1
const SEQUENCE = 2
const SKIP = 3 // to the end of the line

const GREATER = 62
const SEMICOLON = 59
const CR = 13
const LF = 10

/** FASTA: headers after `>`, sequences over any number of lines, `;` lines are comments. LF, CRLF and CR end a line. */
export class FastaParser implements Parser {
  private state = START
  private header = new Line()
  private afterCr = false

  constructor(
    private readonly out: Collector,
    public line = 1,
  ) {}

  write(block: Uint8Array) {
    const { out, header } = this
    const n = block.length
    let i = 0
    while (i < n) {
      switch (this.state) {
        case START: {
          const byte = block[i]
          if (byte === LF && this.afterCr) i++
          else if (byte === GREATER) {
            this.endRecord()
            header.clear()
            this.state = HEADER
            i++
          } else if (byte === SEMICOLON) this.state = SKIP
          else if (byte === LF || byte === CR) this.endLine(block[i++])
          else if (out.isOpen) this.state = SEQUENCE
          else this.state = this.noRecord()
          if (byte !== CR) this.afterCr = false
          break
        }
        case SEQUENCE: {
          i = out.append(block, i, n)
          if (i === n) break
          const byte = block[i++]
          if (out.table[byte] === NEWLINE) this.endLine(byte)
          else if (!out.accept(byte, this.line)) this.state = this.drop()
          break
        }
        case HEADER:
          i = header.add(block, i, n)
          if (i === n) break
          this.beginRecord()
          this.endLine(block[i++])
          break
        case SKIP:
          while (i < n && block[i] !== LF && block[i] !== CR) i++
          if (i < n) this.endLine(block[i++])
      }
    }
  }

  end() {
    if (this.state === HEADER) this.beginRecord()
    this.endRecord()
  }

  /** Lines of a record that was dropped are passed over; what stands before the first header is bad. */
  private dropped = false

  private drop() {
    this.dropped = true
    return SKIP
  }

  private noRecord() {
    if (this.dropped) return SKIP
    this.out.problem(this.line, `expected a header that starts with '>'`)
    return this.drop()
  }

  private beginRecord() {
    this.dropped = false
    this.out.begin(this.header.id(), this.line)
    if (!this.header.tooLong) return
    this.out.problem(this.line, `header of more than ${maxLine} bytes`)
    this.dropped = true
  }

  private endRecord() {
    if (this.out.isOpen) this.out.end()
  }

  private endLine(byte: number) {
    this.line++
    this.afterCr = byte === CR
    this.state = START
  }
}
