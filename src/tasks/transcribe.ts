import { exitCodes, UserError } from '../errors.js'
import { discard } from '../runtime/discard.js'
import type { HeadSpec, ModelSpec } from '../spec.js'
import { frameSeconds } from '../tokens/log-mel.js'
import { type AudioModel, type AudioNote, type AudioOptions, type CutAudio, Listening } from './audio.js'
import { BeamDecoder, type BeamOptions } from './beam.js'
import { isCausal, perRow } from './check.js'
import { type CtcDecoder, GreedyDecoder } from './ctc-decode.js'
import { Language } from './language.js'
import type { Answer } from './predict.js'
import { quietWindows } from './quiet.js'
import type { Recording } from './recordings.js'
import type { LeftOutCount, Run } from './run.js'
import { streamedStretches } from './sequences.js'
import { Vocabulary } from './vocabulary.js'
import { type Word, Words } from './words.js'

/** The next words of a recording. */
export interface Transcribed {
  recording: Recording
  words: Word[]
  /** There are no more. Each recording that could be read ends with one of these. */
  last: boolean
}

export interface TranscribeOptions extends Omit<AudioOptions, 'wanted'> {
  /** Width of the beam; 0 or 1: greedy decoding. Default: 16 where the model knows a language, which greedy decoding cannot hear. */
  beam?: number
}

/** Seconds that a model that reads both ways is given at once, at most. */
const longestWindow = 30
/** Seconds of quiet that a cut between words is looked for. */
const pause = 0.3

type CtcHead = Extract<HeadSpec, { kind: 'ctc' }>

/** Errors: 2 for a model that does not write down what it hears. */
export function transcriber(spec: ModelSpec): { spec: AudioModel['spec']; head: CtcHead } {
  const { input, head } = spec
  if (input.kind !== 'log-mel')
    throw new UserError('this model does not hear audio; transcribe needs one that does', exitCodes.usage)
  if (head?.kind !== 'ctc')
    throw new UserError('this model does not transcribe (it has no ctc head); classify or embed may', exitCodes.usage)
  return { spec: { ...spec, input }, head }
}

/** Recordings to words. */
export class Transcription implements Run<Transcribed> {
  private readonly listening: Listening
  private readonly vocabulary: string[]
  private readonly language: BeamOptions['language']
  /** Seconds of a row of logits. */
  private readonly span: number

  constructor(
    model: Pick<AudioModel, 'weights'> & { spec: ModelSpec },
    recordings: readonly Recording[],
    private readonly options: TranscribeOptions,
  ) {
    const { spec, head } = transcriber(model.spec)
    const width = spec.d_embed
    const frame = frameSeconds(spec.input)
    this.vocabulary = head.vocabulary
    this.language = languageOf(head)
    this.span = perRow(spec) * frame
    const quiet = {
      width,
      longest: Math.round(longestWindow / frame),
      multiple: perRow(spec),
      span: Math.round(pause / frame),
    }
    const causal = isCausal(spec)
    const cut: CutAudio = (parts, chunk, spare) =>
      causal
        ? streamedStretches(parts, chunk, width, (_, length) => spare.floats(length))
        : quietWindows(parts, quiet, spare)
    // A window in one chunk needs no sweep.
    const chunk = options.chunk ?? (causal ? undefined : quiet.longest)
    const wanted = { kind: 'token logits' } as const
    const listening = { ...options, chunk, wanted, cut, windows: false, streams: causal, keepBroken: true }
    this.listening = new Listening({ spec, weights: model.weights }, recordings, listening)
  }

  async *results(): AsyncGenerator<Transcribed> {
    const heard = this.listening.results((answers) => this.decoded(answers))
    for await (const { item: recording, result } of heard) {
      if (result) yield { recording, words: result, last: false }
      else if (!recording.broken || recording.seconds > 0) yield { recording, words: [], last: true }
    }
  }

  progress(seconds: number): string {
    return this.listening.progress(seconds)
  }

  leftOut(): LeftOutCount[] {
    return this.listening.leftOut()
  }

  private async *decoded(answers: AsyncIterable<Answer<AudioNote>>) {
    const decoder = this.decoder()
    let words = new Words(this.vocabulary, this.span)
    let read: ArrayBuffer | null = null
    for await (const { note, data } of answers) {
      // Logits of several recordings may have come in one buffer.
      if (read && read !== data.buffer) discard(read)
      read = data.buffer as ArrayBuffer
      if (!note.continues) words = new Words(this.vocabulary, this.span, note.stretch.start)
      const found = words.push(decoder.push(data))
      const rest = note.goesOn ? [] : [...words.push(decoder.end()), ...words.end()]
      yield { item: note.recording, result: [...found, ...rest].map((word) => this.within(note.recording, word)) }
    }
  }

  private decoder(): CtcDecoder {
    const { language } = this
    const { beam = language ? 16 : 0 } = this.options
    const V = this.vocabulary.length
    return beam > 1 ? new BeamDecoder(V, { width: beam, language }) : new GreedyDecoder(V)
  }

  /** A word that was recognised in the silence added after the recording is taken to be its end. */
  private within({ seconds }: Recording, { text, start, end }: Word): Word {
    const from = this.options.offset ?? 0
    const over = from + seconds
    return { text, start: Math.max(from, Math.min(start, over - this.span)), end: Math.min(end, over) }
  }
}

/** Errors: 69 for texts that the model cannot write, or with too many n-grams. */
export function languageOf({ vocabulary, language }: CtcHead): BeamOptions['language'] {
  if (!language) return undefined
  const { texts, order, weight, bonus } = language
  const tokens = new Vocabulary(vocabulary)
  const encoded = texts.map((text) => tokens.encode(text, 'spec.head.language.texts', exitCodes.unavailable))
  return { model: new Language(encoded, order, vocabulary.length), weight, bonus }
}
