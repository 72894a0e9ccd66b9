import { needsWhole, type Output } from '../../engine/outputs.js'
import type { Piece } from '../../engine/pack.js'
import { laneOf, type Plan } from '../../engine/plan.js'
import type { SequenceRecord } from '../../input/dna/records.js'
import { isCausal } from '../../layers/mixers/registry.js'
import type { Weights } from '../../layers/params.js'
import { BufferPool } from '../../runtime/buffer-pool.js'
import { audioProgress } from '../../shell/progress.js'
import type { LogMelInput, ModelSpec } from '../../spec.js'
import { frameSeconds } from '../../tokens/log-mel.js'
import { Check } from '../check.js'
import { type ComputeOptions, planFor, startNote } from '../compute.js'
import { dryRunText } from '../dry-run.js'
import { type Answer, notFinite, type Prediction, predict } from '../predict.js'
import { Recall } from '../resume/recall.js'
import type { LeftOutCount, RecordSize, SpanRun } from '../run.js'
import { mostWhole } from '../whole-room.js'
import { type Part, type Span, type SpanPiece, spansOf } from '../windows.js'
import { type Given, inItemOrder } from './lanes.js'
import { featureParts, type Recording, secondsOf } from './recordings.js'
import { loudnessOf } from './word-times.js'

export interface AudioModel {
  spec: ModelSpec & { input: LogMelInput }
  weights: Weights
}

export interface AudioOptions extends ComputeOptions {
  /** The channel, from 1 (default: the mean of all), and the seconds to pass over and to read. */
  channel?: number
  offset?: number
  duration?: number
  /** What cannot be read is reported and skipped. */
  skip: boolean
  wanted: Output
}

/** How features become sequences, a chunk at most in a piece of a streamed one, in buffers of a pool. */
export type CutAudio = (
  parts: AsyncIterable<Part<Float32Array>>,
  plan: Plan,
  buffers: BufferPool,
) => AsyncGenerator<SpanPiece<Float32Array>>

/** A sequence, in seconds of its recording, or a piece of it. */
export interface AudioNote {
  recording: Recording
  span: Span
  /** The first piece of it, and the last. */
  begins: boolean
  ends: boolean
  /** Of each frame of the recording in this piece (WordTimes), where it is asked for. */
  loudness?: Float32Array
}

export interface PipelineOptions extends AudioOptions {
  cut: CutAudio
  /** The sequences are windows that the caller asked for. */
  windows: boolean
  loudness: boolean
  /** Frames of sequences that should not be cut. */
  uncut?: number
  /** What is read of a long sequence may come in several answers. */
  inParts: boolean
  /** A recording that breaks off is taken to end there; otherwise it gives no result. */
  keepBroken: boolean
}

/** Answers with all rows of a chunk that a lane may be ahead: hundreds of them would take more memory than all else. */
const rowsAhead = 4

/** Recordings through a model: one sequence of features after the other, several recordings at a time. */
export class AudioPipeline {
  private readonly plan: Plan
  private readonly check: Check
  /** Recordings that were read to their end; the others are left out. */
  private done = 0

  constructor(
    private readonly model: AudioModel,
    private readonly recordings: readonly Recording[],
    private readonly options: PipelineOptions,
  ) {
    const { spec } = model
    const { skip, wanted, note, windows } = options
    this.plan = planFor(model, options, { uncut: options.uncut })
    const name = ({ record }: Span) => record.file
    const { plan } = this
    this.check = new Check({ spec, wanted, plan, width: spec.d_embed, unit: 'frames', name, windows, skip, note })
  }

  /**
   * What `take` makes of the answers to recordings, in the order of the recordings, with a mark at the end of each.
   * Each lane has its share of the threads.
   */
  async *results<Result>(
    take: (answers: AsyncIterable<Answer<AudioNote>>) => AsyncGenerator<{ item: Recording; result: Result }>,
  ): AsyncGenerator<Given<Recording, Result>> {
    const { options } = this
    const { device, wanted, tmpDir, halfSpool, resume, inParts } = options
    const onStarted = startNote(options)
    const lanes = Math.max(1, Math.min(this.plan.workers, this.recordings.length))
    const { model, plan: all } = this
    const pieces = this.pieces.bind(this)
    const work = async function* (drawn: Iterable<Recording>, lane: number) {
      const buffers = new BufferPool()
      let item: Recording
      let failed: { item: Recording; failure: unknown } | undefined
      const noted = function* () {
        for (item of drawn) yield item
      }
      // What was read before a bad recording is answered, then the recording is reported.
      const untilBad = async function* () {
        try {
          yield* pieces(noted(), buffers)
        } catch (failure) {
          failed = { item, failure }
        }
      }
      const plan = laneOf(model.spec, all, lane, lanes)
      const nameOf = ({ recording: { index, file } }: AudioNote) => `${index}\0${file}`
      const recall = resume && new Recall(resume, nameOf)
      const answers = predict(untilBad(), model, {
        device,
        plan,
        wanted,
        tmpDir,
        halfSpool,
        inParts,
        buffers,
        recall,
        onStarted,
      })
      // An answer that is not finite comes before what was read later.
      const untilNotFinite = async function* () {
        for await (const answer of answers) {
          const { recording } = answer.note
          const failure = notFinite(answer, recording.file)
          if (failure) {
            failed = { item: recording, failure }
            return
          }
          yield answer
        }
      }
      yield* take(untilNotFinite())
      if (failed) yield failed
    }
    for await (const given of inItemOrder(
      this.recordings,
      lanes,
      work,
      inParts && !wanted.pool ? rowsAhead : undefined,
    )) {
      const { item, result } = given
      if (result === null && !item.broken && item.seconds > 0) this.done++
      yield given
    }
  }

  /** `longest`: frames of the longest sequence that is held whole; absent: none is. */
  dryRun(longest?: number | null): Promise<string> {
    const known = { unit: 'frames', longest, number: this.recordings.length } as const
    return dryRunText(this.model.spec, this.plan, this.options, known)
  }

  /** Frames of the longest recording; null where one comes through a pipe. */
  async longest(): Promise<number | null> {
    if (this.recordings.some(({ live }) => live)) return null
    const { input } = this.model.spec
    let longest = 0
    for (const { id } of this.recordings) {
      const seconds = await secondsOf(id, input.sample_rate, this.options)
      longest = Math.max(longest, Math.ceil(seconds / frameSeconds(input)))
    }
    return longest
  }

  progress(seconds: number, over = false): string {
    const total = over ? this.done : this.recordings.length
    const read = this.recordings.reduce((sum, recording) => sum + recording.seconds, 0)
    return audioProgress(this.done, total, read, seconds)
  }

  leftOut(): LeftOutCount[] {
    const count = (test: (recording: Recording) => boolean) => this.recordings.filter(test).length
    return [
      [count(({ seconds, broken }) => seconds === 0 && !broken), 'empty'],
      [this.check.wrongLength, 'of a length that the model does not read'],
      [count(({ broken }) => broken), 'bad files'],
    ]
  }

  private async *pieces(recordings: Iterable<Recording>, buffers: BufferPool): AsyncGenerator<Piece<AudioNote>> {
    const { cut, offset: from = 0, windows } = this.options
    const { input } = this.model.spec
    // No window lies in the silence after a recording.
    const spec = windows ? { ...input, tail: 0 } : input
    const parts = featureParts(recordings, spec, this.options)
    for await (const { span, rows, start, ends } of this.check.of(cut(parts, this.plan, buffers))) {
      const recording = span.record as Recording
      const time = (frames: number) => from + Math.min(frames * frameSeconds(input), recording.seconds)
      const inSeconds = { record: recording, start: time(span.start), end: time(span.end) }
      const note: AudioNote = { recording, span: inSeconds, begins: start === 0, ends }
      if (this.options.loudness) {
        const recorded = Math.ceil(recording.seconds / frameSeconds(input)) - span.start - start
        note.loudness = loudnessOf(rows, input.n_mels).subarray(0, Math.max(0, recorded))
      }
      yield { input: rows, note, start, ends, slot: start === 0 && ends ? -1 : 0, urgent: recording.live }
    }
  }
}

export interface PredictAudioOptions extends AudioOptions {
  /** Seconds. */
  window?: number
  stride?: number
}

/** Recordings, or windows of them, through a model that says one thing of each. */
export class AudioRun implements SpanRun {
  private readonly pipeline: AudioPipeline
  private readonly window: number | undefined
  private readonly streams: boolean
  private shortWindows = 0

  constructor(model: AudioModel, recordings: readonly Recording[], options: PredictAudioOptions) {
    const { spec } = model
    const frames = (seconds: number | undefined) =>
      seconds === undefined ? undefined : Math.max(1, Math.round(seconds / frameSeconds(spec.input)))
    const [window, stride] = [frames(options.window), frames(options.stride)]
    this.window = window
    // What is left of a recording after its windows is one more if it is at least half as long.
    const minLength = window && window / 2
    this.streams = isCausal(spec) && !needsWhole(options.wanted)
    const cut: CutAudio = (parts, plan, buffers) => {
      const fresh = (_: Float32Array, length: number) => buffers.floats(length)
      const piece = this.streams ? plan.chunk : undefined
      const most = mostWhole(spec, plan)
      const tooShort = () => this.shortWindows++
      return spansOf(parts, { width: spec.d_embed, window, stride, minLength, tooShort, piece, most, fresh })
    }
    const windows = window !== undefined
    this.pipeline = new AudioPipeline(model, recordings, {
      ...options,
      cut,
      windows,
      loudness: false,
      inParts: true,
      keepBroken: false,
    })
  }

  async *results(): AsyncGenerator<Prediction> {
    for await (const { result } of this.pipeline.results(predictions)) if (result) yield result
  }

  async dryRun(): Promise<string> {
    const { pipeline, window, streams } = this
    return pipeline.dryRun(window ?? (streams ? undefined : await pipeline.longest()))
  }

  progress(seconds: number, over?: boolean): string {
    return this.pipeline.progress(seconds, over)
  }

  leftOut(): LeftOutCount[] {
    return [...this.pipeline.leftOut(), [this.shortWindows, 'last windows too short']]
  }

  sizeOf(record: SequenceRecord): RecordSize | null {
    const { broken, seconds } = record as Recording
    return broken ? null : { length: seconds }
  }
}

const prediction = ({ note: { recording, span, ends }, data, width, last }: Answer<AudioNote>): Prediction => ({
  span,
  last: ends && last,
  strands: [data],
  width,
  silent: recording.peaks?.silent(span.start, span.end),
})

async function* predictions(answers: AsyncIterable<Answer<AudioNote>>) {
  for await (const answer of answers) yield { item: answer.note.recording, result: prediction(answer) }
}
