import type { Collector } from './collector.js'
import type { Parser } from './fasta.js'
import { nameByte } from './letters.js'
import { Line, maxLine } from './line.js'

const START = 0 // of a line
const PLAIN = 1 // outside of strings
const STRING = 2
const SEQUENCE = 3 // inside the string that is the value of "seq"
const SKIP = 4 // to the end of the line

const QUOTE = 34
const BACKSLASH = 92
const CR = 13
const LF = 10
const [OPEN, CLOSE, OPEN_LIST, CLOSE_LIST, COLON, COMMA] = Buffer.from('{}[]:,')

/**
 * JSON lines `{"id": ..., "seq": ...}`, as bionode-fasta writes them; other keys are passed over. The text of "seq" is
 * cleaned as it streams by; all else of a line is gathered and parsed at its end, with an empty "seq".
 */
export class JsonLinesParser implements Parser {
  private state = START
  private text = new Line()
  private depth = 0
  private escaped = false
  /** The byte of `text` where the last string began, and the last key of the outer object. */
  private stringStart = 0
  private key = ''
  private expectsValue = false
  private sawSequence = false
  private afterCr = false

  constructor(
    private readonly out: Collector,
    public line = 1,
  ) {}

  write(block: Uint8Array) {
    const { out, text } = this
    const n = block.length
    let i = 0
    while (i < n) {
      if (this.state === SEQUENCE) {
        i = out.append(block, i, n)
        if (i === n) return
        const byte = block[i++]
        if (byte === QUOTE) {
          text.push(QUOTE)
          this.state = PLAIN
        } else if (byte === LF || byte === CR) this.endLine(byte)
        else if (byte === BACKSLASH) this.problem(`an escape in "seq", expected letters of DNA`)
        else if (!out.accept(byte, this.line)) this.state = SKIP
        continue
      }
      const byte = block[i++]
      if (byte === LF || byte === CR) this.endLine(byte)
      else if (this.state === START) this.start(byte)
      else if (this.state === STRING) this.inString(byte)
      else if (this.state === PLAIN) this.plain(byte)
    }
  }

  end() {
    this.endLine(LF)
  }

  private start(byte: number) {
    this.afterCr = false
    if (byte === 32 || byte === 9) return
    this.text.clear()
    this.depth = 0
    this.key = ''
    this.expectsValue = this.sawSequence = this.escaped = false
    this.state = PLAIN
    if (byte === OPEN) this.plain(byte)
    else this.problem(`expected a JSON object with "id" and "seq", not ${nameByte(byte)}`)
  }

  private plain(byte: number) {
    if (byte === QUOTE && this.expectsValue && this.depth === 1 && this.key === 'seq') {
      this.beginRecord()
      return
    }
    if (byte === QUOTE) {
      this.stringStart = this.text.length
      this.state = STRING
    } else if (byte === OPEN || byte === OPEN_LIST) this.depth++
    else if (byte === CLOSE || byte === CLOSE_LIST) this.depth--
    else if (byte === COMMA) this.expectsValue = false
    else if (byte === COLON) this.expectsValue = true
    this.push(byte)
  }

  private inString(byte: number) {
    this.push(byte)
    if (this.escaped) this.escaped = false
    else if (byte === BACKSLASH) this.escaped = true
    else if (byte === QUOTE) {
      this.state = PLAIN
      if (this.depth === 1 && !this.expectsValue) this.key = String(parse(this.text.toString(this.stringStart)))
    }
  }

  /** At the opening quote of the sequence: the id must be known by now. */
  private beginRecord() {
    const { out, text } = this
    if (this.sawSequence) {
      this.problem('a second "seq"')
      return
    }
    const id = idOf(parse(`${text.toString()}""}`))
    if (id === undefined) {
      this.problem('expected a string "id" before "seq"')
      return
    }
    out.begin(id, this.line)
    this.sawSequence = true
    this.push(QUOTE)
    this.state = SEQUENCE
  }

  private endLine(byte: number) {
    const { out, text, state } = this
    if (state === PLAIN || state === STRING || state === SEQUENCE) {
      const whole = state === PLAIN && idOf(parse(text.toString())) !== undefined
      if (!whole) this.problem('the line is not one whole JSON object with a string "id"')
      else if (!this.sawSequence) this.problem('expected a string "seq"')
      else out.end()
    }
    this.state = START
    if (byte === CR || !this.afterCr) this.line++
    this.afterCr = byte === CR
  }

  private push(byte: number) {
    this.text.push(byte)
    if (this.text.tooLong) this.problem(`more than ${maxLine} bytes beside the sequence`)
  }

  private problem(text: string) {
    this.out.problem(this.line, text)
    this.state = SKIP
  }
}

/** The value, or undefined where the text is no JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** As the id of a FASTA header: up to the first white space of ASCII, leading blanks skipped. */
function idOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('id' in value) || typeof value.id !== 'string') return undefined
  return /[^\t-\r ]+/.exec(value.id)?.[0] ?? ''
}
