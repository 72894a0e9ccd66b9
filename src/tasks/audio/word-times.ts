import type { SpelledWord, Word } from '../language/words.js'

export interface WordTimesOptions {
  /** Frames of a row of logits, seconds of a frame, and where the first one lies in the recording. */
  frames: number
  seconds: number
  offset: number
}

/** Seconds by which a word reaches beyond its tokens at most. */
const reach = 0.5
/** A drop that is shorter lies inside a word: the closure of a t or a k. */
const closure = 0.12
/** Seconds over which the loudness is taken where it is least. */
const moment = 0.1
/** A word is louder than this part of the way from the least loudness near it to its own ... */
const share = 0.25
/** ... and than this far below its own, in units of loudness: 25 dB. */
const range = 1.25

/** Of each frame of features [frames, width]: the mean of its bands. 1 is the level of the recording, 0 is 20 dB below. */
export function loudnessOf(features: Float32Array, width: number): Float32Array {
  const loudness = new Float32Array(features.length / width)
  for (let t = 0; t < loudness.length; t++) {
    let sum = 0
    for (let m = t * width; m < (t + 1) * width; m++) sum += features[m]
    loudness[t] = sum / width
  }
  return loudness
}

/** A word in frames, from its first token to its last; it begins at `from` at the earliest. */
interface Held {
  text: string
  first: number
  end: number
  from: number
}

/**
 * When the words of one sequence were said. The tokens of a word stand somewhere inside it, mostly late; the blanks around
 * them belong to it as far as it is heard, but no further than `reach`, and between two words no further than where it is
 * quietest. A word is given as soon as nothing that is still to be read can move it: the times are the same however the
 * sequence was cut.
 */
export class WordTimes {
  /** Loudness of the frames from number `before` on. */
  private loudness = new Float32Array(0)
  private before = 0
  private held: Held | null = null
  /** The frame where the last word ended. */
  private over = 0
  /** The frame before which no word that is still to come has a token. */
  private next = 0
  private readonly reach: number
  private readonly closure: number
  private readonly half: number

  constructor(private readonly options: WordTimesOptions) {
    const frames = (seconds: number) => Math.round(seconds / options.seconds)
    this.reach = frames(reach)
    this.closure = frames(closure)
    this.half = frames(moment / 2)
  }

  /** Seconds: what is still to be given begins no earlier. */
  get settled(): number {
    return this.time(this.held?.from ?? this.earliest(this.next))
  }

  /**
   * Takes the loudness of the next frames and the next words, gives the words whose times are known now. A word that is
   * still to come has its first token in row `next` or later; in that very row, if it is `known`.
   */
  push(loudness: Float32Array, words: readonly SpelledWord[], next: number, known: boolean): Word[] {
    this.append(loudness)
    const { frames } = this.options
    const done: Word[] = []
    for (const { text, first, end } of words) {
      const word = { text, first: first * frames, end: end * frames }
      done.push(...this.finish(word.first))
      this.held = { ...word, from: this.earliest(word.first) }
    }
    this.next = next * frames
    if (this.held && (known || this.next >= this.held.end + this.reach)) done.push(...this.finish(this.next))
    return done
  }

  /** The last word. */
  end(): Word[] {
    return this.finish(Number.POSITIVE_INFINITY)
  }

  private earliest(first: number): number {
    return Math.max(this.over, first - this.reach)
  }

  /** The word that is held, when the next one has its first token in the frame `next`, or later and beyond its reach. */
  private finish(next: number): Word[] {
    const { held, closure } = this
    if (held === null) return []
    this.held = null
    const { text, from } = held
    // What was recognised in the silence added after a recording is taken to be its end.
    const [first, end] = [held.first, held.end].map((frame) => Math.min(frame, this.frames))
    const touched = next < end + this.reach
    const to = touched ? this.quietest(end, next) : Math.min(end + this.reach, this.frames)
    const threshold = this.threshold(from, Math.max(to, end))
    const word = { start: first, end }
    for (let t = first - 1; t >= from && word.start - t <= closure; t--) if (this.at(t) > threshold) word.start = t
    for (let t = end; t < to && t - word.end < closure; t++) if (this.at(t) > threshold) word.end = t + 1
    this.over = touched ? to : word.end
    return [{ text, start: this.time(word.start), end: this.time(word.end) }]
  }

  private threshold(from: number, to: number): number {
    let loudest = Number.NEGATIVE_INFINITY
    for (let t = from; t < to; t++) loudest = Math.max(loudest, this.at(t))
    const least = this.around(this.quietest(from, to), from, to)
    return Math.max(loudest - range, least + share * (loudest - least))
  }

  /** The frame between `from` and `to` around which it is quietest. */
  private quietest(from: number, to: number): number {
    let best = from
    for (let t = from, least = Number.POSITIVE_INFINITY; t < to; t++) {
      const loudness = this.around(t, from, to)
      if (loudness < least) [least, best] = [loudness, t]
    }
    return best
  }

  /** The mean loudness of a moment, of what lies between `from` and `to`. */
  private around(frame: number, from: number, to: number): number {
    const first = Math.max(from, frame - this.half)
    const end = Math.min(to, frame + this.half + 1)
    let sum = 0
    for (let t = first; t < end; t++) sum += this.at(t)
    return sum / (end - first)
  }

  private at(frame: number): number {
    return this.loudness[frame - this.before]
  }

  /** Frames so far. */
  private get frames(): number {
    return this.before + this.loudness.length
  }

  private time(frame: number): number {
    return this.options.offset + frame * this.options.seconds
  }

  /** Keeps no frame that no word can reach any more. */
  private append(loudness: Float32Array): void {
    const needed = Math.max(this.before, Math.min(this.frames, this.held?.from ?? this.earliest(this.next)))
    const kept = this.loudness.subarray(needed - this.before)
    this.loudness = new Float32Array(kept.length + loudness.length)
    this.loudness.set(kept)
    this.loudness.set(loudness, kept.length)
    this.before = needed
  }
}
