import { needsWhole, type Output, readFor } from '../engine/outputs.js'
import type { Piece } from '../engine/pack.js'
import type { Plan } from '../engine/plan.js'
import { nameId, type SequenceRecord } from '../input/dna/records.js'
import type { SkipCounts } from '../input/problem.js'
import type { InputShare } from '../input/share.js'
import { isCausal } from '../layers/mixers/registry.js'
import type { Weights } from '../layers/params.js'
import { progressText } from '../shell/progress.js'
import type { ModelSpec } from '../spec.js'
import { Check, lengthRead } from './check.js'
import { type ComputeOptions, planFor, startNote } from './compute.js'
import { dryRunText } from './dry-run.js'
import { type LeftOut, type LengthLimits, settledParts } from './lengths.js'
import { type Answer, finite, type Prediction, predict } from './predict.js'
import { keyOfRecord, Recall } from './resume/recall.js'
import type { LeftOutCount, RecordSize, SpanRun } from './run.js'
import { answered, asking, type SequenceNote, type Vocabulary } from './targets.js'
import { mostWhole } from './whole-room.js'
import { type Part, type Span, type SpanPiece, spansOf } from './windows.js'

export interface SequenceOptions extends LengthLimits, ComputeOptions {
  window?: number
  stride?: number
  /** The windows of a record become one row: records are counted, not windows. */
  perRecord?: boolean
  /** Bad records are skipped and counted: a record gives nothing before its end was seen. */
  skip: boolean
  wanted: Output
  /** Some of the records come through a pipe. */
  pipe?: boolean
  /** Tokens that no record can have more of, as far as that is known. */
  longest?: number
}

/** Records of tokens, and how they become sequences of a model. */
export interface SequenceSource<Codes extends Uint8Array | Int32Array> {
  unit: 'bases' | 'tokens'
  batches: Parameters<typeof settledParts<Codes>>[0]
  counts: SkipCounts
  share?: InputShare
  vocabulary: Vocabulary
  /** Sequences that are made of a span. */
  sequencesOfSpan: number
  /** A span may come in pieces, where the model reads it so. */
  cutsSpans: boolean
  sequences(spans: AsyncIterable<SpanPiece<Codes>>): AsyncIterable<Piece<SequenceNote>>
  /** Sees the parts of records that are read. */
  watch?(parts: AsyncIterable<Part<Codes>>): AsyncGenerator<Part<Codes>>
  sizeOf(record: SequenceRecord): RecordSize
}

/** Records of DNA or text through a model. */
export class SequenceRun<Codes extends Uint8Array | Int32Array> implements SpanRun {
  private readonly left: LeftOut = { tooShort: 0, tooLong: 0, empty: 0 }
  private shortWindows = 0
  /** Records, or windows, that were answered. */
  private done = 0
  private readonly plan: Plan
  private readonly check: Check

  constructor(
    private readonly model: { spec: ModelSpec; weights: Weights },
    private readonly source: SequenceSource<Codes>,
    private readonly options: SequenceOptions,
  ) {
    const { spec } = model
    const { window, skip, wanted, note } = options
    const { unit } = source
    this.plan = planFor(model, options, { wanted, longest: window ?? options.longest })
    const { plan } = this
    this.check = new Check({ spec, wanted, plan, width: 1, unit, name: nameOf, windows: !!window, skip, note })
  }

  async *results(): AsyncGenerator<Prediction> {
    const { spec } = this.model
    const { source, options, plan } = this
    const { device, wanted, tmpDir, halfSpool, resume, skip, window, stride, minLength, perRecord } = options
    const { vocabulary } = source
    const settled = settledParts(source.batches, options, skip, this.left)
    const parts = source.watch?.(settled) ?? settled
    const piece = this.streams ? plan.chunk : undefined
    const most = mostWhole(spec, plan)
    const tooShort = () => this.shortWindows++
    const spans = this.check.of(spansOf(parts, { width: 1, window, stride, minLength, tooShort, piece, most }))
    const pieces = source.sequences(spans)
    const recall = resume && new Recall<SequenceNote>(resume, ({ span }) => keyOfRecord(span))
    const how = { device, plan, wanted, tmpDir, halfSpool, inParts: true, recall, onStarted: startNote(options) }
    const predictions = wanted.likelihood
      ? answered(finite(predict(asking(pieces, spec, vocabulary, wanted), this.model, how), nameOfNote))
      : together(finite(predict(pieces, this.model, how), nameOfNote))
    let record: SequenceRecord | undefined
    for await (const prediction of predictions) {
      const { span, last } = prediction
      if (perRecord ? span.record !== record : last) this.done++
      record = span.record
      yield prediction
    }
  }

  async dryRun(): Promise<string> {
    const { spec } = this.model
    const { options, plan, source } = this
    const { window, skip, pipe, wanted } = options
    const known = { unit: source.unit, number: Number.POSITIVE_INFINITY, outputs: readFor(wanted).length }
    if (window !== undefined) return dryRunText(spec, plan, options, { ...known, longest: window })
    if (this.streams) return dryRunText(spec, plan, options, known)
    if (pipe) return dryRunText(spec, plan, options, { ...known, longest: null })
    let [longest, number] = [0, 0]
    for await (const { offset, rows, last } of settledParts(source.batches, options, skip, this.left)) {
      longest = Math.max(longest, offset + rows.length)
      if (last) number += source.sequencesOfSpan
    }
    return dryRunText(spec, plan, options, { ...known, longest, number })
  }

  /** Long records are read in pieces. */
  private get streams(): boolean {
    const { spec } = this.model
    const { wanted } = this.options
    return isCausal(spec) && this.source.cutsSpans && !needsWhole(wanted) && lengthRead(spec, wanted) === undefined
  }

  sizeOf(record: SequenceRecord): RecordSize {
    return this.source.sizeOf(record)
  }

  progress(seconds: number, over = false): string {
    const { window, perRecord } = this.options
    const { unit, share } = this.source
    const item = window === undefined || perRecord ? 'record' : 'window'
    const fraction = over ? 1 : share?.value
    const work = { tokens: this.check.rows, unit: unit === 'bases' ? 'bp' : unit } as const
    return progressText({ records: this.done, item, ...work, fraction, seconds })
  }

  leftOut(): LeftOutCount[] {
    const { skippedRecords, skippedFiles } = this.source.counts
    return [
      [this.left.empty, 'empty'],
      [this.left.tooShort, 'too short'],
      [this.shortWindows, 'last windows too short'],
      [this.left.tooLong, 'too long'],
      [this.check.wrongLength, 'of a length that the model does not read'],
      [skippedRecords, 'bad records'],
      [skippedFiles, 'bad files'],
    ]
  }
}

/** How messages name the record of a span. */
const nameOf = ({ record }: Span) => `${record.file}: record ${nameId(record.id)}, line ${record.line}`
const nameOfNote = ({ span }: SequenceNote) => nameOf(span)

/** The answers on the sequences of a span, together. */
async function* together(answers: AsyncIterable<Answer<SequenceNote>>): AsyncGenerator<Prediction> {
  let strands: Float32Array[] = []
  for await (const { note, data, width, last } of answers) {
    strands.push(data)
    if (!note.lastOfSpan) continue
    yield { span: note.span, last: note.ends && last, strands, width, n: note.n }
    strands = []
  }
}
