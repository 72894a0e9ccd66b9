import { isUtf8 } from 'node:buffer'
import { nameId, type SequenceRecord } from '../dna/records.js'
import type { Problems } from '../problem.js'

/** A text, or a part of one that is long. */
export interface TextPart {
  record: SequenceRecord
  text: string
  first: boolean
  last: boolean
  /** The text turned out bad after earlier parts of it were handed out: drop all of it. Only with `last`. */
  aborted: boolean
}

/** Takes the bytes of a file, line by line, and gives texts. */
export interface LineParser {
  /** Bytes of a line; `ends`: all of them, or the rest. */
  take(bytes: Uint8Array, ends: boolean): TextPart[]
  /** The file breaks off: what was begun is dropped. */
  breakOff(): TextPart[]
  /** The line that was reached. */
  readonly line: number
}

const CR = 13
const notUtf8 = 'not UTF-8 (iconv -f ENCODING -t UTF-8 makes it so)'

/** Every line is a text; its number is the id. */
export class PlainLines implements LineParser {
  private record: SequenceRecord | null = null
  private handedOut = false
  private dropped = false
  private decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  /** A CR that may belong to the line end. */
  private held = ''

  constructor(
    private readonly file: string,
    private readonly problems: Problems,
    public line: number,
  ) {}

  take(bytes: Uint8Array, ends: boolean): TextPart[] {
    this.record ??= { id: String(this.line), file: this.file, line: this.line }
    const { record } = this
    const parts = this.dropped ? [] : this.read(record, bytes, ends)
    if (ends) {
      this.record = null
      this.handedOut = this.dropped = false
      this.line++
    }
    return parts
  }

  breakOff(): TextPart[] {
    return this.record ? this.drop(this.record) : []
  }

  private read(record: SequenceRecord, bytes: Uint8Array, ends: boolean): TextPart[] {
    let text: string
    try {
      text = this.held + this.decoder.decode(bytes, { stream: !ends })
    } catch {
      this.decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
      const parts = this.drop(record)
      this.problems.record(this.file, `line ${this.line}: ${notUtf8}`)
      return parts
    }
    this.held = ''
    if (text.endsWith('\r')) {
      text = text.slice(0, -1)
      if (!ends) this.held = '\r'
    }
    const first = !this.handedOut
    this.handedOut = true
    return [{ record, text, first, last: ends, aborted: false }]
  }

  private drop(record: SequenceRecord): TextPart[] {
    this.dropped = true
    this.held = ''
    return this.handedOut ? [{ record, text: '', first: false, last: true, aborted: true }] : []
  }
}

/** A line of JSON lines is held whole. */
const mostBytes = 2 ** 26

/** JSON lines `{"id": ..., "text": ...}`; without an id the number of the line is one. Other keys are passed over. */
export class JsonTextLines implements LineParser {
  private held: Uint8Array[] = []
  private length = 0

  constructor(
    private readonly file: string,
    private readonly problems: Problems,
    public line: number,
  ) {}

  take(bytes: Uint8Array, ends: boolean): TextPart[] {
    if (this.length <= mostBytes) this.held.push(ends ? bytes : bytes.slice())
    this.length += bytes.length
    if (!ends) return []
    const parts = this.parts()
    this.held = []
    this.length = 0
    this.line++
    return parts
  }

  breakOff = () => []

  private parts(): TextPart[] {
    const bytes = this.held.length === 1 ? this.held[0] : Buffer.concat(this.held)
    if (this.length > mostBytes) return this.problem(`more than ${mostBytes} bytes, expected a JSON object`)
    if (bytes.every((byte) => byte === 32 || byte === 9 || byte === CR)) return []
    if (!isUtf8(bytes)) return this.problem(notUtf8)
    const value = parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'))
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return this.problem('expected one whole JSON object with a "text"')
    const { id = this.line, text } = value as { id?: unknown; text?: unknown }
    if (typeof id !== 'string' && typeof id !== 'number') return this.problem('expected a text or a number as "id"')
    if (typeof text !== 'string') return this.problem(`record ${nameId(String(id))}: expected a "text" that is one`)
    const record = { id: String(id), file: this.file, line: this.line }
    return [{ record, text, first: true, last: true, aborted: false }]
  }

  private problem(text: string): [] {
    this.problems.record(this.file, `line ${this.line}: ${text}`)
    return []
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
