import { totalmem } from 'node:os'
import { exitCodes, UserError } from '../errors.js'
import type { ModelSpec } from '../spec.js'
import type { Wanted } from './inference.js'
import type { Numbers, Span, SpanPiece } from './windows.js'

export interface CheckOptions {
  spec: ModelSpec
  wanted: Wanted
  /** Rows per chunk. */
  chunk: number
  /** Numbers of a row. */
  width: number
  /** What a row is called. */
  unit: 'bases' | 'frames'
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
    const { spec, wanted, chunk, width, unit, name, windows, skip } = this.options
    const exactly = lengthRead(spec, wanted)
    for await (const piece of pieces) {
      const { span } = piece
      const length = span.end - span.start
      const rows = piece.rows.length / width
      if (exactly !== undefined && length !== exactly) {
        this.wrongLength++
        if (skip || windows) continue
        const text = `${length} ${unit}, but the model reads exactly ${exactly} (--window ${exactly} cuts longer records)`
        throw new UserError(`${name(span)}: ${text}`, exitCodes.data)
      }
      if (rows > chunk && readsWhole(wanted)) {
        const text = `${length} ${unit}, but this pooling needs a record in one chunk (${chunk} ${unit}): use --window or a larger --chunk`
        throw new UserError(`${name(span)}: ${text}`, exitCodes.data)
      }
      if (rows > chunk && !isCausal(spec)) this.refuseTooLarge(span, rows)
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

  /** A sweep holds the residual stream of the whole sequence in memory. */
  private refuseTooLarge(span: Span, rows: number): void {
    const { spec, name, unit } = this.options
    const bytes = (rows / perRow(spec)) * spec.d_model * 4
    const allowed = process.constrainedMemory()
    const limit = 0.5 * (allowed > 0 ? Math.min(allowed, totalmem()) : totalmem())
    if (bytes <= limit) return
    const needed = `${(bytes / 2 ** 30).toFixed(1)} GiB`
    throw new UserError(`${name(span)}: ${rows} ${unit} at once need ${needed} of memory; use --window`, exitCodes.data)
  }
}

/** The pooling wants all rows of a sequence at once. */
export const readsWhole = (wanted: Wanted) =>
  'pool' in wanted && (wanted.pool === 'center' || wanted.pool === 'flatten')

/** The one length of sequences that a model classifies, if it reads no other. */
export const lengthRead = ({ head }: ModelSpec, wanted: Wanted) =>
  head?.kind === 'classes' && wanted.kind === 'logits' ? head.length : undefined

/** Tokens per row of the residual stream. */
export const perRow = ({ stem }: ModelSpec) => stem.reduce((product, { stride }) => product * stride, 1)

/** Every layer sees only what came before. */
export const isCausal = ({ blocks }: ModelSpec) => blocks.every(({ mixer }) => mixer.kind === 'mamba')
