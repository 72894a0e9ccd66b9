import { totalmem } from 'node:os'
import type { Device } from '../backends/open.js'
import type { RecordStream } from '../input/read.js'
import { exitCodes, UserError } from '../shell/errors.js'
import type { ModelSpec, Weights } from '../spec.js'
import type { Wanted } from './inference.js'
import { type Prediction, predict, type Strand } from './predict.js'
import {
  type LeftOut,
  type LengthLimits,
  type StretchPiece,
  settledParts,
  streamedStretches,
  wholeStretches,
  windows,
} from './sequences.js'

export interface DnaOptions extends LengthLimits {
  device: Device
  threads: number
  /** Tokens per chunk; rounded up to a multiple of the network's stride. */
  chunk?: number
  window?: number
  stride?: number
  /** Default: both for a symmetric model, + for a stranded one. */
  strand?: Strand
  /** Bad records are skipped and counted: a record gives nothing before its end was seen. */
  skip: boolean
  wanted: Wanted
  /** Takes warnings. */
  note: (line: string) => void
}

/** Token rows per chunk: large enough for the kernels, small enough for the caches (docs/benchmarks.md). */
const rowsPerChunk = 2048
/** A warning from here on, in multiples of the trained length. */
const farLonger = 4

/** Records of DNA through a model. `leftOut` and `wrongLength` count, while it runs, what gave no prediction. */
export class DnaRun {
  readonly leftOut: LeftOut = { tooShort: 0, tooLong: 0, empty: 0 }
  wrongLength = 0
  /** Bases handed to the model so far. */
  bases = 0

  constructor(
    private readonly model: { spec: ModelSpec; weights: Weights },
    private readonly options: DnaOptions,
  ) {}

  predictions(records: RecordStream): AsyncGenerator<Prediction> {
    const { spec } = this.model
    const { device, threads, wanted } = this.options
    const perRow = spec.stem.reduce((product, { stride }) => product * stride, 1)
    const chunk = Math.ceil((this.options.chunk ?? rowsPerChunk * perRow) / perRow) * perRow
    // Caduceus-PS reads both strands by itself.
    const bothByDefault = spec.strand === 'symmetric' && !spec.reverse_complement
    const strand = this.options.strand ?? (bothByDefault ? 'both' : '+')
    const pieces = this.checked(this.stretches(records, chunk, strand), chunk)
    return predict(pieces, this.model, { device, threads, chunk, strand, wanted })
  }

  private stretches(records: RecordStream, chunk: number, strand: Strand): AsyncGenerator<StretchPiece> {
    const { window, stride, minLength = 0, skip } = this.options
    const parts = settledParts(records, this.options, skip, this.leftOut)
    if (window !== undefined) return windows(parts, window, stride ?? window, minLength)
    const { spec } = this.model
    const causal = spec.blocks.every(({ mixer }) => mixer.kind === 'mamba')
    return causal && strand === '+' && !this.readsWhole ? streamedStretches(parts, chunk) : wholeStretches(parts)
  }

  /** The read-out wants all rows of a sequence at once. */
  private get readsWhole(): boolean {
    const { wanted } = this.options
    return 'pool' in wanted && (wanted.pool === 'center' || wanted.pool === 'positions')
  }

  /** Turns away what the model cannot read, before it is computed. */
  private async *checked(pieces: AsyncGenerator<StretchPiece>, chunk: number): AsyncGenerator<StretchPiece> {
    const { spec } = this.model
    const { window, skip, note } = this.options
    const exactly =
      spec.head?.kind === 'classes' && this.options.wanted.kind === 'logits' ? spec.head.length : undefined
    let warned = false
    for await (const piece of pieces) {
      const { record, start, end } = piece.stretch
      const length = end - start
      const name = `${record.file}: record ${record.id}, line ${record.line}`
      if (exactly !== undefined && length !== exactly) {
        this.wrongLength++
        if (skip || window !== undefined) continue
        const text = `${length} bases, but the model reads exactly ${exactly} (--window ${exactly} cuts longer records)`
        throw new UserError(`${name}: ${text}`, exitCodes.data)
      }
      if (piece.codes.length > chunk && this.readsWhole) {
        const text = `${length} bases, but this read-out needs a record in one chunk (${chunk} bases): use --window or a larger --chunk`
        throw new UserError(`${name}: ${text}`, exitCodes.data)
      }
      if (piece.codes.length > chunk) refuseTooLarge(name, length, spec)
      if (!warned && spec.trained_length !== undefined && length > farLonger * spec.trained_length) {
        warned = true
        const advice = `--window ${spec.trained_length} reads it in pieces of that length`
        note(`${name}: the model was trained on ${spec.trained_length} bases; ${advice}`)
      }
      this.bases += piece.codes.length
      yield piece
    }
  }
}

/** A sweep holds the residual stream of the whole sequence in memory. */
function refuseTooLarge(name: string, length: number, spec: ModelSpec): void {
  const perRow = spec.stem.reduce((product, { stride }) => product * stride, 1)
  const bytes = (length / perRow) * spec.d_model * 4
  const limit = 0.5 * (process.constrainedMemory() > 0 ? Math.min(process.constrainedMemory(), totalmem()) : totalmem())
  if (bytes <= limit) return
  const needed = `${(bytes / 2 ** 30).toFixed(1)} GiB`
  throw new UserError(`${name}: ${length} bases at once need ${needed} of memory; use --window`, exitCodes.data)
}
