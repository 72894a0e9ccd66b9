import type { Device } from '../backends/open.js'
import type { Piece } from '../engine/pack.js'
import { audioProgress } from '../shell/progress.js'
import type { LogMelInput, ModelSpec, Weights } from '../spec.js'
import { frameSeconds } from '../tokens/log-mel.js'
import { Check, isCausal, perRow, readsWhole } from './check.js'
import type { Wanted } from './inference.js'
import { type Answer, notFinite, type Prediction, predict, share } from './predict.js'
import { featureParts, type Recording } from './recordings.js'
import type { LeftOutCount, Run } from './run.js'
import { type Part, type Stretch, type StretchPiece, stretchesOf } from './sequences.js'
import { Spare } from './spare.js'
import { type Given, inItemOrder } from './tracks.js'

export interface AudioModel {
  spec: ModelSpec & { input: LogMelInput }
  weights: Weights
}

export interface AudioOptions {
  device: Device
  threads: number
  /** Frames per chunk; rounded up to a multiple of the network's stride. */
  chunk?: number
  /** The channel, from 1 (default: the mean of all), and the seconds to pass over and to read. */
  channel?: number
  offset?: number
  duration?: number
  /** What cannot be read is told and passed over. */
  skip: boolean
  wanted: Wanted
  /** Takes warnings. */
  note: (line: string) => void
}

/** How features become sequences, `chunk` frames at most in a piece of a streamed one, in spare buffers. */
export type CutAudio = (
  parts: AsyncIterable<Part<Float32Array>>,
  chunk: number,
  spare: Spare,
) => AsyncGenerator<StretchPiece<Float32Array>>

/** A sequence, in seconds of its recording, or a piece of it. */
export interface AudioNote {
  recording: Recording
  stretch: Stretch
  continues: boolean
  goesOn: boolean
}

/** Token rows per chunk where the caller does not say: 20 s of audio at 25 rows a second (docs/decisions.md). */
const rowsPerChunk = 512

export interface ListeningOptions extends AudioOptions {
  cut: CutAudio
  /** The sequences are windows that the caller asked for. */
  windows: boolean
  /** The sequences are cut, and their state carried: one thread works at a recording. */
  streams: boolean
  /** A recording that breaks off is taken to end there; otherwise nothing is said of it. */
  keepBroken: boolean
}

/** Recordings through a model: one sequence of features after the other, several recordings at a time. */
export class Listening {
  private readonly chunk: number
  private readonly check: Check
  /** Recordings that were read to their end; the others are left out. */
  private done = 0

  constructor(
    private readonly model: AudioModel,
    private readonly recordings: readonly Recording[],
    private readonly options: ListeningOptions,
  ) {
    const { spec, weights } = model
    const { skip, wanted, note, windows } = options
    this.model = { spec, weights: share(weights) }
    this.chunk = Math.ceil((options.chunk ?? rowsPerChunk * perRow(spec)) / perRow(spec)) * perRow(spec)
    const name = ({ record }: Stretch) => record.file
    const { chunk } = this
    this.check = new Check({ spec, wanted, chunk, width: spec.d_embed, unit: 'frames', name, windows, skip, note })
  }

  /**
   * What `take` makes of the answers to recordings, in the order of the recordings, with a mark at the end of each. Where state is
   * carried, threads help with several recordings; otherwise each track has its share of them.
   */
  async *results<Result>(
    take: (answers: AsyncIterable<Answer<AudioNote>>) => AsyncGenerator<{ item: Recording; result: Result }>,
  ): AsyncGenerator<Given<Recording, Result>> {
    const { device, threads, wanted, streams } = this.options
    const tracks = Math.max(1, Math.min(threads, this.recordings.length))
    const { model, chunk } = this
    const pieces = this.pieces.bind(this)
    const work = async function* (drawn: Iterable<Recording>, track: number) {
      const spare = new Spare()
      let item: Recording
      let failed: { item: Recording; failure: unknown } | undefined
      const noted = function* () {
        for (item of drawn) yield item
      }
      // What was read before a bad recording is answered, then the recording is told.
      const untilBad = async function* () {
        try {
          yield* pieces(noted(), spare)
        } catch (failure) {
          failed = { item, failure }
        }
      }
      const share = streams ? 1 : Math.floor((threads + track) / tracks)
      const answers = predict(untilBad(), model, { device, threads: share, chunk, wanted, spare })
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
    for await (const given of inItemOrder(this.recordings, tracks, work)) {
      const { item, result } = given
      if (result === null && !item.broken && item.seconds > 0) this.done++
      yield given
    }
  }

  progress(seconds: number): string {
    const read = this.recordings.reduce((sum, recording) => sum + recording.seconds, 0)
    return audioProgress(this.done, read, seconds)
  }

  leftOut(): LeftOutCount[] {
    const count = (test: (recording: Recording) => boolean) => this.recordings.filter(test).length
    return [
      [count(({ seconds, broken }) => seconds === 0 && !broken), 'empty'],
      [this.check.wrongLength, 'of a length the model does not read'],
      [count(({ broken }) => broken), 'bad files'],
    ]
  }

  private async *pieces(recordings: Iterable<Recording>, spare: Spare): AsyncGenerator<Piece<AudioNote>> {
    const { cut, offset: from = 0, windows } = this.options
    const { input } = this.model.spec
    // No window lies in the silence after a recording.
    const spec = windows ? { ...input, tail: 0 } : input
    const parts = featureParts(recordings, spec, this.options)
    for await (const { stretch, rows, continues, goesOn } of this.check.of(cut(parts, this.chunk, spare))) {
      const recording = stretch.record as Recording
      const time = (frames: number) => from + Math.min(frames * frameSeconds(input), recording.seconds)
      const inSeconds = { record: recording, start: time(stretch.start), end: time(stretch.end) }
      yield { input: rows, note: { recording, stretch: inSeconds, continues, goesOn }, continues, goesOn }
    }
  }
}

export interface PredictAudioOptions extends AudioOptions {
  /** Seconds. */
  window?: number
  stride?: number
}

/** Recordings, or windows of them, through a model that says one thing of each. */
export class AudioRun implements Run<Prediction> {
  private readonly listening: Listening

  constructor(model: AudioModel, recordings: readonly Recording[], options: PredictAudioOptions) {
    const { spec } = model
    const frames = (seconds: number | undefined) =>
      seconds === undefined ? undefined : Math.max(1, Math.round(seconds / frameSeconds(spec.input)))
    const [window, stride] = [frames(options.window), frames(options.stride)]
    const streams = isCausal(spec) && !readsWhole(options.wanted)
    const cut: CutAudio = (parts, chunk, spare) => {
      const fresh = (_: Float32Array, length: number) => spare.floats(length)
      return stretchesOf(parts, { width: spec.d_embed, window, stride, piece: streams ? chunk : undefined, fresh })
    }
    const windows = window !== undefined
    this.listening = new Listening(model, recordings, {
      ...options,
      cut,
      windows,
      streams: streams && !windows,
      keepBroken: false,
    })
  }

  async *results(): AsyncGenerator<Prediction> {
    for await (const { result } of this.listening.results(predictions)) if (result) yield result
  }

  progress(seconds: number): string {
    return this.listening.progress(seconds)
  }

  leftOut(): LeftOutCount[] {
    return this.listening.leftOut()
  }
}

const prediction = ({ stretch, goesOn }: AudioNote, data: Float32Array, width: number): Prediction => ({
  stretch,
  last: !goesOn,
  strands: [data],
  width,
})

async function* predictions(answers: AsyncIterable<Answer<AudioNote>>) {
  for await (const { note, data, width } of answers)
    yield { item: note.recording, result: prediction(note, data, width) }
}
