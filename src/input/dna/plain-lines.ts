import type { Collector } from './collector.js'
import type { Parser } from './fasta.js'
import { NEWLINE } from './letters.js'

/** DNA without headers: every line that is not empty is a record, its number the id. */
export class PlainLinesParser implements Parser {
  private open = false
  /** To the end of the line. */
  private skips = false
  private afterCr = false

  constructor(
    private readonly out: Collector,
    public line = 1,
  ) {}

  write(block: Uint8Array) {
    const { out } = this
    for (let i = 0; i < block.length; ) {
      const byte = block[i]
      if (byte === 10 || byte === 13) {
        this.endLine(byte)
        i++
        continue
      }
      this.afterCr = false
      if (this.skips) {
        i++
        continue
      }
      if (!this.open) {
        out.begin(String(this.line), this.line)
        this.open = true
      }
      i = out.append(block, i, block.length)
      if (i === block.length || out.table[block[i]] === NEWLINE) continue
      if (!out.accept(block[i], this.line)) this.skips = true
      i++
    }
  }

  end() {
    this.endLine(10)
  }

  private endLine(byte: number) {
    if (this.open && !this.skips) this.out.end()
    this.open = this.skips = false
    if (byte === 13 || !this.afterCr) this.line++
    this.afterCr = byte === 13
  }
}
