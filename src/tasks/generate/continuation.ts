import { exitCodes, UserError } from '../../errors.js'
import { nameId, type SequenceRecord } from '../../input/dna/records.js'
import { firstNotFinite } from '../../runtime/numbers.js'
import { Sampler, type Sampling } from './sampler.js'
import { Stops, type Writing } from './writing.js'

export interface Prompt {
  record: SequenceRecord
  ids: Int32Array
}

export interface GenerateSettings extends Sampling {
  maxTokens: number
  /** The text ends before the first of them. */
  stop: readonly string[]
}

/** What of a model decides how text goes on. */
export interface Language {
  /** Ids that may be chosen, the first so many. */
  allowed: number
  /** Ids that end a text. */
  ends: readonly number[]
  writing(prompt: Int32Array): Writing
}

/** Why a text ends: the model ended it, a stop string came, or it has all tokens that it may have. */
export type Finish = 'end' | 'stop' | 'length'

/** What is written behind one prompt. */
export class Continuation {
  readonly record: SequenceRecord
  readonly promptTokens: number
  /** Ids that the model has not read. */
  unread: Int32Array
  /** Tokens that it has. */
  read = 0
  /** Tokens that were chosen. */
  tokens = 0
  finish: Finish | null = null
  private text = ''
  private readonly sampler: Sampler
  private readonly writing: Writing
  private readonly stops: Stops

  constructor(
    { record, ids }: Prompt,
    private readonly settings: GenerateSettings,
    private readonly language: Language,
  ) {
    this.record = record
    this.unread = ids
    this.promptTokens = ids.length
    this.sampler = new Sampler(settings, ids, language.allowed)
    this.writing = language.writing(ids)
    this.stops = new Stops(settings.stop)
  }

  /** So many of the unread ids are read now. */
  advance(ids: number): void {
    this.read += ids
    this.unread = this.unread.subarray(ids)
  }

  /** The next token, by its logits [V]. Errors: 69 for logits that are not finite. */
  choose(logits: Float32Array, from: number, V: number): void {
    const { record } = this
    if (firstNotFinite(logits.subarray(from, from + V)) >= 0) {
      const place = `${record.file}: record ${nameId(record.id)}, line ${record.line}`
      throw new UserError(`the model gives no finite number for ${place}`, exitCodes.unavailable)
    }
    const id = this.sampler.next(logits, from)
    if (this.language.ends.includes(id)) {
      this.end('end')
      return
    }
    this.tokens++
    this.unread = Int32Array.of(id)
    this.text += this.stops.push(this.writing.push(id))
    if (this.stops.stopped) this.end('stop')
    else if (this.tokens === this.settings.maxTokens) this.end('length')
  }

  /** The text since the last call. */
  take(): string {
    const { text } = this
    this.text = ''
    return text
  }

  private end(finish: Finish): void {
    this.text += this.stops.push(this.stops.stopped ? '' : this.writing.end()) + this.stops.end()
    this.finish = this.stops.stopped ? 'stop' : finish
  }
}
