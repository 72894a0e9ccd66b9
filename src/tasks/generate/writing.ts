import type { TextTokenizer } from '../../tokens/text.js'

/** Makes text of tokens that come one by one. */
export interface Writing {
  /** The text that is settled with this token. */
  push(id: number): string
  /** The rest. */
  end(): string
}

/** A letter for each token. */
export class Letters implements Writing {
  constructor(private readonly letter: (id: number) => string) {}

  push = (id: number) => this.letter(id)
  end = () => ''
}

/** Tokens of a prompt that decide how the first one behind it is written, with or without a blank. */
const context = 6

/** The text of tokens, of which several may make one character: it is held until it is whole. */
export class Words implements Writing {
  /** The last tokens; the text of the first `settled` of them is written. */
  private ids: number[]
  private settled: number

  constructor(
    private readonly tokenizer: TextTokenizer,
    prompt: Int32Array,
  ) {
    this.ids = [...prompt.slice(-context)]
    this.settled = this.ids.length
  }

  push(id: number): string {
    this.ids.push(id)
    const text = this.rest()
    if (text === '' || text.endsWith('\ufffd')) return ''
    this.ids = this.ids.slice(this.settled)
    this.settled = this.ids.length
    return text
  }

  end = () => this.rest()

  private rest(): string {
    const before = this.tokenizer.decode(this.ids.slice(0, this.settled))
    return this.tokenizer.decode(this.ids).slice(before.length)
  }
}

/** Ends a text before the first of some strings: what may be the beginning of one is held. */
export class Stops {
  private held = ''
  stopped = false

  constructor(private readonly stops: readonly string[]) {}

  push(text: string): string {
    this.held += text
    const found = this.stops.map((stop) => this.held.indexOf(stop)).filter((at) => at >= 0)
    if (found.length > 0) {
      this.stopped = true
      return this.take(Math.min(...found))
    }
    const begun = Math.max(0, ...this.stops.map((stop) => overlap(this.held, stop)))
    return this.take(this.held.length - begun)
  }

  end = () => (this.stopped ? '' : this.take(this.held.length))

  private take(length: number): string {
    const text = this.held.slice(0, length)
    this.held = this.held.slice(length)
    return text
  }
}

/** Characters at the end of a text with which another begins, but for all of it. */
function overlap(text: string, other: string): number {
  let length = Math.min(text.length, other.length - 1)
  while (!text.endsWith(other.slice(0, length))) length--
  return length
}
