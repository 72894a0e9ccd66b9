import type { Device } from '../backends/open.js'
import type { Piece } from '../engine/pack.js'
import type { RecordStream } from '../input/read.js'
import { nameId } from '../input/records.js'
import { progressText } from '../shell/progress.js'
import type { ModelSpec, Weights } from '../spec.js'
import { reverseComplement } from '../tokens/dna.js'
import { dnaTokenizer } from '../tokens/tokenizer.js'
import { Check, isCausal, lengthRead, perRow, readsWhole } from './check.js'
import type { Wanted } from './inference.js'
import { type Answer, notFinite, type Prediction, predict } from './predict.js'
import type { LeftOutCount, Run } from './run.js'
import {
  type LeftOut,
  type LengthLimits,
  type Stretch,
  type StretchPiece,
  settledParts,
  stretchesOf,
} from './sequences.js'

export type Strand = '+' | '-' | 'both'

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

/** Records of DNA through a model. */
export class DnaRun implements Run<Prediction> {
  private readonly left: LeftOut = { tooShort: 0, tooLong: 0, empty: 0 }
  private shortWindows = 0
  /** Records, or windows, that were answered. */
  private done = 0
  private readonly chunk: number
  private readonly strand: Strand
  private readonly check: Check

  constructor(
    private readonly model: { spec: ModelSpec; weights: Weights },
    private readonly records: RecordStream,
    private readonly options: DnaOptions,
  ) {
    const { spec } = model
    const { window, skip, wanted, note } = options
    this.chunk = Math.ceil((options.chunk ?? rowsPerChunk * perRow(spec)) / perRow(spec)) * perRow(spec)
    // Caduceus-PS reads both strands by itself.
    const bothByDefault = spec.strand === 'symmetric' && !spec.reverse_complement
    this.strand = options.strand ?? (bothByDefault ? 'both' : '+')
    const { chunk } = this
    this.check = new Check({
      spec,
      wanted,
      chunk,
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
    const { device, threads, wanted, skip, window, stride, minLength } = this.options
    const parts = settledParts(this.records, this.options, skip, this.left)
    const streams =
      isCausal(spec) && this.strand === '+' && !readsWhole(wanted) && lengthRead(spec, wanted) === undefined
    const piece = streams ? this.chunk : undefined
    const tooShort = () => this.shortWindows++
    const stretches = this.check.of(stretchesOf(parts, { width: 1, window, stride, minLength, tooShort, piece }))
    const pieces = strandsOf(stretches, spec, this.strand)
    const answers = predict(pieces, this.model, { device, threads, chunk: this.chunk, wanted })
    for await (const prediction of withStrands(answers)) {
      if (prediction.last) this.done++
      yield prediction
    }
  }

  progress(seconds: number): string {
    const item = this.options.window === undefined ? 'record' : 'window'
    return progressText({ records: this.done, item, tokens: this.check.rows, unit: 'bp', seconds })
  }

  leftOut(): LeftOutCount[] {
    const { skippedRecords, skippedFiles } = this.records.counts
    return [
      [this.left.empty, 'empty'],
      [this.left.tooShort, 'too short'],
      [this.shortWindows, 'last windows too short'],
      [this.left.tooLong, 'too long'],
      [this.check.wrongLength, 'of a length the model does not read'],
      [skippedRecords, 'bad records'],
      [skippedFiles, 'bad files'],
    ]
  }
}

/** How messages name the record of a stretch. */
const nameOf = ({ record }: Stretch) => `${record.file}: record ${nameId(record.id)}, line ${record.line}`

interface StrandNote {
  stretch: Stretch
  lastStrand: boolean
  goesOn: boolean
}

/** Token ids of each strand, one sequence after the other. */
async function* strandsOf(
  pieces: AsyncIterable<StretchPiece<Uint8Array>>,
  spec: ModelSpec,
  strand: Strand,
): AsyncGenerator<Piece<StrandNote>> {
  const tokenizer = dnaTokenizer(spec.input)
  for await (const { stretch, rows: codes, continues, goesOn } of pieces) {
    if (strand !== '-') {
      const note = { stretch, lastStrand: strand === '+', goesOn }
      yield { input: tokenizer.ids(codes, !goesOn), note, continues, goesOn }
    }
    if (strand !== '+') {
      if (continues || goesOn) throw new Error('the other strand needs the whole stretch')
      const note = { stretch, lastStrand: true, goesOn }
      yield { input: tokenizer.ids(reverseComplement(codes), true), note, continues, goesOn }
    }
  }
}

/** The answers on the strands of a stretch, together. Errors: 69 for one that is not finite. */
async function* withStrands(answers: AsyncIterable<Answer<StrandNote>>): AsyncGenerator<Prediction> {
  let strands: Float32Array[] = []
  for await (const { note, data, width } of answers) {
    const failure = notFinite({ data }, nameOf(note.stretch))
    if (failure) throw failure
    strands.push(data)
    if (!note.lastStrand) continue
    yield { stretch: note.stretch, last: !note.goesOn, strands, width }
    strands = []
  }
}
