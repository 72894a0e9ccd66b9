import { needsWhole, type Output } from '../../engine/outputs.js'
import type { Piece } from '../../engine/pack.js'
import type { Plan } from '../../engine/plan.js'
import type { RecordStream } from '../../input/dna/read.js'
import { nameId, type SequenceRecord } from '../../input/dna/records.js'
import { isCausal } from '../../layers/mixers/registry.js'
import type { Weights } from '../../layers/params.js'
import { progressText } from '../../shell/progress.js'
import type { ModelSpec } from '../../spec.js'
import { reverseComplement } from '../../tokens/dna.js'
import { dnaTokenizer } from '../../tokens/tokenizer.js'
import { Check, lengthRead } from '../check.js'
import { type ComputeOptions, planFor, startNote } from '../compute.js'
import { dryRunText } from '../dry-run.js'
import { type Answer, notFinite, type Prediction, predict } from '../predict.js'
import { Recall } from '../resume/recall.js'
import type { LeftOutCount, RecordSize, SpanRun } from '../run.js'
import { mostWhole } from '../whole-room.js'
import { type Span, type SpanPiece, spansOf } from '../windows.js'
import { Composition, countN } from './composition.js'
import { type LeftOut, type LengthLimits, settledParts } from './lengths.js'

export type Strand = '+' | '-' | 'both'

export interface DnaOptions extends LengthLimits, ComputeOptions {
  window?: number
  stride?: number
  /** The windows of a record become one row: records are counted, not windows. */
  perRecord?: boolean
  /** Default: both for a symmetric model, + for a stranded one. */
  strand?: Strand
  /** Bad records are skipped and counted: a record gives nothing before its end was seen. */
  skip: boolean
  wanted: Output
  /** Each strand is a prediction of its own, with its bases; `last` is the last one on the span. */
  letters?: boolean
  /** Some of the records come through a pipe. */
  pipe?: boolean
  /** Bases that no record can have more of, as far as that is known. */
  longest?: number
}

/** Records of DNA through a model. */
export class DnaRun implements SpanRun {
  private readonly left: LeftOut = { tooShort: 0, tooLong: 0, empty: 0 }
  private shortWindows = 0
  private readonly composition = new Composition()
  /** Records, or windows, that were answered. */
  private done = 0
  private readonly plan: Plan
  private readonly strand: Strand
  private readonly check: Check

  constructor(
    private readonly model: { spec: ModelSpec; weights: Weights },
    private readonly records: RecordStream,
    private readonly options: DnaOptions,
  ) {
    const { spec } = model
    const { window, skip, wanted, note } = options
    this.plan = planFor(model, options, { longest: window ?? options.longest })
    // Caduceus-PS reads both strands by itself.
    const bothByDefault = spec.strand === 'symmetric' && !spec.reverse_complement
    this.strand = options.strand ?? (bothByDefault ? 'both' : '+')
    const { plan } = this
    this.check = new Check({
      spec,
      wanted,
      plan,
      width: 1,
      unit: 'bases',
      name: nameOf,
      windows: !!window,
      skip,
      note,
    })
  }

  async *results(): AsyncGenerator<Prediction> {
    const { spec } = this.model
    const { device, wanted, letters, tmpDir, halfSpool, resume, skip, window, stride, minLength, perRecord } =
      this.options
    const onStarted = startNote(this.options)
    const parts = this.composition.of(settledParts(this.records, this.options, skip, this.left))
    const piece = this.streams ? this.plan.chunk : undefined
    const most = mostWhole(spec, this.plan)
    const tooShort = () => this.shortWindows++
    const spans = this.check.of(spansOf(parts, { width: 1, window, stride, minLength, tooShort, piece, most }))
    const pieces = strandsOf(spans, spec, this.strand, letters)
    const nameOf = ({ span: { record } }: StrandNote) => `${record.file}\0${record.line}\0${record.id}`
    const recall = resume && new Recall(resume, nameOf)
    const how = { device, plan: this.plan, wanted, tmpDir, halfSpool, inParts: true, recall, onStarted }
    const answers = predict(pieces, this.model, how)
    let record: SequenceRecord | undefined
    for await (const prediction of letters ? withLetters(answers) : withStrands(answers)) {
      const { span, last } = prediction
      if (perRecord ? span.record !== record : last) this.done++
      record = span.record
      yield prediction
    }
  }

  async dryRun(): Promise<string> {
    const { spec } = this.model
    const { options, plan, records } = this
    const { window, skip, pipe } = options
    const known = { unit: 'bases', number: Number.POSITIVE_INFINITY } as const
    if (window !== undefined) return dryRunText(spec, plan, options, { ...known, longest: window })
    if (this.streams) return dryRunText(spec, plan, options, known)
    if (pipe) return dryRunText(spec, plan, options, { ...known, longest: null })
    let [longest, number] = [0, 0]
    for await (const { offset, rows, last } of settledParts(records, options, skip, this.left)) {
      longest = Math.max(longest, offset + rows.length)
      if (last) number += this.strand === 'both' ? 2 : 1
    }
    return dryRunText(spec, plan, options, { ...known, longest, number })
  }

  /** Long records are read in pieces. */
  private get streams(): boolean {
    const { spec } = this.model
    const { wanted } = this.options
    return isCausal(spec) && this.strand === '+' && !needsWhole(wanted) && lengthRead(spec, wanted) === undefined
  }

  sizeOf(record: SequenceRecord): RecordSize {
    return this.composition.size(record)
  }

  progress(seconds: number, over = false): string {
    const { window, perRecord } = this.options
    const item = window === undefined || perRecord ? 'record' : 'window'
    const fraction = over ? 1 : this.records.share?.value
    return progressText({ records: this.done, item, tokens: this.check.rows, unit: 'bp', fraction, seconds })
  }

  leftOut(): LeftOutCount[] {
    const { skippedRecords, skippedFiles } = this.records.counts
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

const none = new Uint8Array(0)

interface StrandNote {
  span: Span
  lastStrand: boolean
  ends: boolean
  /** N in the span so far. */
  n: number
  /** The bases as they are read on this strand, where they are asked for. */
  codes: Uint8Array
}

/** Token ids of each strand, one sequence after the other. */
async function* strandsOf(
  pieces: AsyncIterable<SpanPiece<Uint8Array>>,
  spec: ModelSpec,
  strand: Strand,
  letters = false,
): AsyncGenerator<Piece<StrandNote>> {
  const tokenizer = dnaTokenizer(spec.input)
  let n = 0
  for await (const { span, rows: codes, start, ends } of pieces) {
    n = (start === 0 ? 0 : n) + countN(codes)
    const slot = start === 0 && ends ? -1 : 0
    if (strand !== '-') {
      const note = { span, lastStrand: strand === '+', ends, n, codes: letters ? codes.slice() : none }
      yield { input: tokenizer.ids(codes, ends), note, start, ends, slot }
    }
    if (strand !== '+') {
      if (slot >= 0) throw new Error('the other strand needs the whole span')
      const other = reverseComplement(codes)
      const note = { span, lastStrand: true, ends, n, codes: letters ? other : none }
      yield { input: tokenizer.ids(other, true), note, start, ends, slot }
    }
  }
}

/** Errors: 69 for an answer that is not finite. */
async function* finite(answers: AsyncIterable<Answer<StrandNote>>): AsyncGenerator<Answer<StrandNote>> {
  for await (const answer of answers) {
    const failure = notFinite(answer, nameOf(answer.note.span))
    if (failure) throw failure
    yield answer
  }
}

/** The answers as they come, each with the bases of its rows. */
async function* withLetters(answers: AsyncIterable<Answer<StrandNote>>): AsyncGenerator<Prediction> {
  let at = 0
  for await (const { note, data, width, last } of finite(answers)) {
    const { span, codes, n } = note
    const part = codes.subarray(at, at + data.length / width)
    at = last ? 0 : at + part.length
    const ends = note.ends && last
    yield { span, last: ends && note.lastStrand, strands: [data], width, n, letters: { codes: part, ends } }
  }
}

/** The answers on the strands of a span, together. */
async function* withStrands(answers: AsyncIterable<Answer<StrandNote>>): AsyncGenerator<Prediction> {
  let strands: Float32Array[] = []
  for await (const { note, data, width, last } of finite(answers)) {
    strands.push(data)
    if (!note.lastStrand) continue
    yield { span: note.span, last: note.ends && last, strands, width, n: note.n }
    strands = []
  }
}
