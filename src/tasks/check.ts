import { needsWhole, type Output } from '../engine/outputs.js'
import type { Plan } from '../engine/plan.js'
import { exitCodes, UserError } from '../errors.js'
import type { ModelSpec } from '../spec.js'
import { longestArray, tooLong, wholeNeeds } from './whole-room.js'
import type { Numbers, Span, SpanPiece } from './windows.js'

export interface CheckOptions {
  spec: ModelSpec
  wanted: Output
  plan: Plan
  /** Numbers of a row. */
  width: number
  /** What a row is called. */
  unit: 'bases' | 'tokens' | 'frames'
  /** How messages name the record of a span. */
  name: (span: Span) => string
  /** Spans are windows: those of a length that the model does not read are counted, not refused. */
  windows: boolean
  skip: boolean
  note: (line: string) => void
}

/** A warning from here on, in multiples of the trained length. */
const farLonger = 4

/** Turns away what the model cannot read, before it is computed. */
export class Check {
  /** Spans of a length that the model does not read. */
  wrongLength = 0
  /** Rows that were let through. */
  rows = 0
  private warned = false

  constructor(private readonly options: CheckOptions) {}

  async *of<N extends Numbers>(pieces: AsyncIterable<SpanPiece<N>>): AsyncGenerator<SpanPiece<N>> {
    const { spec, wanted, plan, width, unit, name, windows, skip } = this.options
    const { chunk } = plan
    const exactly = lengthRead(spec, wanted)
    for await (const piece of pieces) {
      const { span } = piece
      const length = span.end - span.start
      // Of one that is too long to be held there are no rows.
      const rows = piece.start === 0 && piece.ends ? length : piece.rows.length / width
      if (exactly !== undefined && length !== exactly) {
        this.wrongLength++
        if (skip || windows) continue
        const text = `${length} ${unit}, but the model reads exactly ${exactly} (--window ${exactly} cuts longer records)`
        throw new UserError(`${name(span)}: ${text}`, exitCodes.data)
      }
      if (rows > chunk && needsWhole(wanted)) {
        const text = `${length} ${unit}, but this pooling needs a record in one chunk (${chunk} ${unit}): use --window or a larger --chunk`
        throw new UserError(`${name(span)}: ${text}`, exitCodes.data)
      }
      if (rows > chunk) this.refuseTooLarge(span, rows)
      this.warnFarLonger(span, length)
      this.rows += rows
      yield piece
    }
  }

  private warnFarLonger(span: Span, length: number): void {
    const { spec, name, unit, note } = this.options
    const { trained_length: trained } = spec
    if (this.warned || trained === undefined || length <= farLonger * trained) return
    this.warned = true
    const advice = `--window ${trained} reads it in pieces of that length`
    note(`${name(span)}: the model was trained on ${trained} ${unit}; ${advice}`)
  }

  private refuseTooLarge(span: Span, rows: number): void {
    const { spec, plan, name, unit } = this.options
    const { held } = wholeNeeds(spec, plan, rows)
    if (held <= plan.wholeBytes && rows <= longestArray(spec)) return
    throw tooLong(spec, name(span), rows, unit, plan.memory.leastFor(held))
  }
}

/** The one length of sequences that a model classifies, if it reads no other. */
export const lengthRead = ({ head }: ModelSpec, wanted: Output) =>
  head?.kind === 'classes' && wanted.head ? head.length : undefined
