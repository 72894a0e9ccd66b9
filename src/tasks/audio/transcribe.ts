import { tokensPerRow } from '../../engine/footprint.js'
import { exitCodes, UserError } from '../../errors.js'
import { isCausal } from '../../layers/mixers/registry.js'
import { discard } from '../../runtime/discard.js'
import type { HeadSpec, ModelSpec } from '../../spec.js'
import { frameSeconds } from '../../tokens/log-mel.js'
import { BeamDecoder, type BeamOptions } from '../language/beam.js'
import { type CtcDecoder, GreedyDecoder } from '../language/ctc-decode.js'
import { NgramModel } from '../language/ngram.js'
import { Vocabulary } from '../language/vocabulary.js'
import { type Word, Words } from '../language/words.js'
import type { Answer } from '../predict.js'
import type { LeftOutCount, Run } from '../run.js'
import { streamedSpans } from '../windows.js'
import type { Recording } from './recordings.js'
import { type AudioModel, type AudioNote, type AudioOptions, AudioPipeline, type CutAudio } from './run.js'
import { splitAtSilence } from './silence.js'
import { WordTimes } from './word-times.js'

/** The next words of a recording. */
export interface Transcribed {
  recording: Recording
  words: Word[]
  /** Seconds: no word that is still to come begins earlier. */
  until: number
  /** There are no more. Each recording that could be read ends with one of these. */
  last: boolean
}

export interface TranscribeOptions extends Omit<AudioOptions, 'wanted'> {
  /**
   * Width of the beam; 0 or 1: greedy decoding. Default: 16 where the model has a language model, which greedy decoding
   * does not use.
   */
  beam?: number
}

/** Seconds that a model that reads both ways is given at once, at most. */
const longestWindow = 30
/** Seconds of silence that a cut between words should lie in. */
const pause = 0.3
/** Seconds of a recording that comes through a pipe that a model that reads forward computes at a time. */
const livePiece = 0.5
/**
 * Seconds after which a text is settled (BeamOptions). Of a model that reads forward, whose words are read as they come, and
 * without a token for so long a word is over, too; behind windows of half a minute there is time for second thoughts.
 */
const settling = { forward: 1, windows: 2 }

type CtcHead = Extract<HeadSpec, { kind: 'ctc' }>

/** Errors: 2 for a model that does not transcribe. */
export function transcriber(spec: ModelSpec): { spec: AudioModel['spec']; head: CtcHead } {
  const { input, head } = spec
  if (input.kind !== 'log-mel')
    throw new UserError('this model does not read audio; transcribe needs one that does', exitCodes.usage)
  if (head?.kind !== 'ctc')
    throw new UserError('this model does not transcribe (it has no ctc head); classify or embed may', exitCodes.usage)
  return { spec: { ...spec, input }, head }
}

/** Recordings to words. */
export class Transcription implements Run<Transcribed> {
  private readonly pipeline: AudioPipeline
  /** Frames that are given at once; absent: the model reads forward. */
  private readonly window: number | undefined
  private readonly vocabulary: string[]
  private readonly language: BeamOptions['language']
  /** Seconds of a frame, and frames of a row of logits. */
  private readonly seconds: number
  private readonly frames: number
  private readonly causal: boolean
  /** Recordings in which something was said. */
  private readonly spoken = new Set<Recording>()

  constructor(
    model: Pick<AudioModel, 'weights'> & { spec: ModelSpec },
    private readonly recordings: readonly Recording[],
    private readonly options: TranscribeOptions,
  ) {
    const { spec, head } = transcriber(model.spec)
    const width = spec.d_embed
    const frame = frameSeconds(spec.input)
    this.vocabulary = head.vocabulary
    this.language = languageOf(head)
    this.seconds = frame
    this.frames = tokensPerRow(spec)
    const silence = {
      width,
      longest: Math.round(longestWindow / frame),
      multiple: this.frames,
      pause: Math.round(pause / frame),
    }
    const causal = isCausal(spec)
    this.causal = causal
    const cut: CutAudio = (parts, { chunk }, buffers) =>
      causal
        ? streamedSpans(parts, chunk, width, (_, length) => buffers.floats(length))
        : splitAtSilence(parts, silence, buffers)
    // A window in one chunk needs no sweep.
    const uncut = causal ? undefined : silence.longest
    this.window = uncut
    const live = causal && recordings.some((recording) => recording.live)
    const chunk = options.chunk ?? (live ? Math.round(livePiece / frame) : undefined)
    const pipeline = {
      ...options,
      chunk,
      uncut,
      wanted: { head: true },
      cut,
      windows: false,
      loudness: true,
      inParts: false,
      keepBroken: true,
    }
    this.pipeline = new AudioPipeline({ spec, weights: model.weights }, recordings, pipeline)
  }

  async *results(): AsyncGenerator<Transcribed> {
    const decoded = this.pipeline.results((answers) => this.decoded(answers))
    for await (const { item: recording, result } of decoded) {
      if (result) {
        if (result.words.length > 0) this.spoken.add(recording)
        yield { recording, ...result, last: false }
      } else if (!recording.broken || recording.seconds > 0)
        yield { recording, words: [], until: Number.POSITIVE_INFINITY, last: true }
    }
  }

  dryRun(): Promise<string> {
    return this.pipeline.dryRun(this.window)
  }

  progress(seconds: number, over?: boolean): string {
    return this.pipeline.progress(seconds, over)
  }

  leftOut(): LeftOutCount[] {
    const wordless = this.recordings.filter((one) => one.seconds > 0 && !one.broken && !this.spoken.has(one))
    return [...this.pipeline.leftOut(), [wordless.length, 'in which nothing is said']]
  }

  private async *decoded(answers: AsyncIterable<Answer<AudioNote>>) {
    const decoder = this.decoder()
    let spelling = this.words()
    let times = this.times(0)
    let read: ArrayBuffer | null = null
    for await (const { note, data } of answers) {
      // Logits of several recordings may have come in one buffer.
      if (read && read !== data.buffer) discard(read)
      read = data.buffer as ArrayBuffer
      if (note.begins) {
        spelling = this.words()
        times = this.times(note.span.start)
      }
      const spelled = spelling.push(decoder.push(data), decoder.settled)
      const { settled } = decoder
      const found = times.push(note.loudness!, spelled, spelling.open ?? settled, spelling.open !== undefined)
      if (note.ends) {
        const rest = [...spelling.push(decoder.end(), settled), ...spelling.end()]
        found.push(...times.push(nothing, rest, settled, false), ...times.end())
      }
      const until = note.ends ? note.span.end : times.settled
      const { recording } = note
      const placed = found.map((word) => this.within(recording, word))
      // What a model says of digital silence is no word.
      const words = placed.filter(({ start, end }) => !recording.peaks?.silent(start, end))
      yield { item: recording, result: { words, until } }
    }
  }

  private words(): Words {
    return new Words(this.vocabulary, this.causal ? this.rows(settling.forward) : Number.POSITIVE_INFINITY)
  }

  private times(offset: number): WordTimes {
    return new WordTimes({ frames: this.frames, seconds: this.seconds, offset })
  }

  private decoder(): CtcDecoder {
    const { language } = this
    const { beam = language ? 16 : 0 } = this.options
    const V = this.vocabulary.length
    if (beam <= 1) return new GreedyDecoder(V)
    const settle = this.rows(this.causal ? settling.forward : settling.windows)
    return new BeamDecoder(V, { width: beam, language, settle })
  }

  private rows(seconds: number): number {
    return Math.round(seconds / (this.frames * this.seconds))
  }

  /** A word that was recognised in the silence added after the recording is taken to be its end. */
  private within({ seconds }: Recording, { text, start, end }: Word): Word {
    const from = this.options.offset ?? 0
    const over = from + seconds
    return { text, start: Math.max(from, Math.min(start, over - this.frames * this.seconds)), end: Math.min(end, over) }
  }
}

const nothing = new Float32Array(0)

/** Errors: 69 for texts that the model cannot write, or with too many n-grams. */
export function languageOf({ vocabulary, language }: CtcHead): BeamOptions['language'] {
  if (!language) return undefined
  const { texts, order, weight, bonus } = language
  const tokens = new Vocabulary(vocabulary)
  const encoded = texts.map((text) => tokens.encode(text, 'spec.head.language.texts', exitCodes.unavailable))
  return { model: new NgramModel(encoded, order, vocabulary.length), weight, bonus }
}
