import { Tokenizer } from '@huggingface/tokenizers'

/** What of the library is used: its own types name files in a way that Node's resolution does not find. */
interface Library {
  encode(text: string, options?: { add_special_tokens: boolean }): { ids: number[] }
  decode(ids: number[], options: { clean_up_tokenization_spaces: boolean }): string
  id_to_token(id: number): string | undefined
  token_to_id(token: string): number | undefined
  get_vocab(): Map<string, number>
}

/** Characters of a text that are made into ids at a time, where it is longer. */
const pieceLength = 1 << 13

/** Characters that are held, at the most, while there is no place where a text can be cut. */
export const mostHeld = 1 << 20

/** Characters on either side of a place that decide whether a text may be cut there. */
const context = 256

/** Places that are tried in a piece. */
const tries = 16

/** The tokenizer of a checkpoint: ids of text, and text of ids. */
export class TextTokenizer {
  /** Special ids before and behind each text, as the checkpoint's post-processor says. */
  private readonly before: number[]
  private readonly behind: number[]
  /** One more than the largest id. */
  readonly size: number

  /** Errors: whatever the library finds in files that are none of a tokenizer. */
  constructor(
    files: { tokenizer: object; config: object },
    private readonly tokenizer: Library = new Tokenizer(files.tokenizer, files.config),
  ) {
    const plain = this.plain('a')
    const whole = tokenizer.encode('a').ids
    const at = whole.findIndex((_, i) => plain.every((id, j) => whole[i + j] === id))
    this.before = whole.slice(0, at)
    this.behind = whole.slice(at + plain.length)
    let size = 0
    for (const id of tokenizer.get_vocab().values()) size = Math.max(size, id + 1)
    this.size = size
  }

  /** Ids of a whole text, special ones too; none of an empty one. */
  encode(text: string): Int32Array {
    const encoding = new Encoding(this)
    return Int32Array.from([...encoding.push(text), ...encoding.end()])
  }

  /**
   * Ids of a part of a text, without those before and behind it. A character that the vocabulary lacks has none where
   * there is no token for unknown ones, as in the Rust library.
   */
  plain(text: string): number[] {
    return text === '' ? [] : this.tokenizer.encode(text, { add_special_tokens: false }).ids
  }

  /** Ids of a text that begins, and that ends, with this part of it. */
  framed(ids: number[], begins: boolean, ends: boolean): number[] {
    return [...(begins ? this.before : []), ...ids, ...(ends ? this.behind : [])]
  }

  /** The text of ids; where they end within a character, U+FFFD stands for what there is of it. */
  decode(ids: readonly number[]): string {
    if (ids.length === 0) return ''
    // As the Rust library does: cleaning up changes text that was written so on purpose.
    return this.tokenizer.decode([...ids], { clean_up_tokenization_spaces: false })
  }

  /** A token as the vocabulary spells it; '' for an id beyond it, which pads the embedding. */
  token(id: number): string {
    return this.tokenizer.id_to_token(id) ?? ''
  }

  id(token: string): number | undefined {
    return this.tokenizer.token_to_id(token)
  }
}

/**
 * One text that comes in parts, so that a long one is never held. It is cut between words, where the tokenizer makes the
 * same ids of both sides together as of each alone.
 */
export class Encoding {
  private held = ''
  private begins = true
  /** Nothing is tried again before so many characters are held. */
  private enough = 2 * pieceLength

  constructor(private readonly tokenizer: TextTokenizer) {}

  /** Characters that are held because there is no place to cut them: more than `mostHeld` are too many. */
  get tooLong(): boolean {
    return this.held.length > mostHeld
  }

  /** The ids that are settled with this part. */
  push(text: string): number[] {
    this.held += text
    const ids: number[] = []
    while (this.held.length > this.enough) {
      const cut = this.cut()
      if (cut === null) {
        this.enough = 2 * this.held.length
        break
      }
      this.enough = 2 * pieceLength
      ids.push(...this.take(cut))
    }
    return ids
  }

  /** The rest. */
  end(): number[] {
    if (this.begins && this.held === '') return []
    return this.take(this.held.length, true)
  }

  private take(length: number, ends = false): number[] {
    const ids = this.tokenizer.framed(this.tokenizer.plain(this.held.slice(0, length)), this.begins, ends)
    this.held = this.held.slice(length)
    this.begins = false
    return ids
  }

  /** A place before a single blank between two words. */
  private cut(): number | null {
    const { held } = this
    const borders = /(?<=[\p{L}\p{N}\p{P}]) (?=[\p{L}\p{N}])/gu
    borders.lastIndex = Math.max(pieceLength, held.length >> 2)
    for (let tried = 0; tried < tries; tried++) {
      const found = borders.exec(held)
      if (found === null || found.index + context > held.length) return null
      if (this.splits(found.index)) return found.index
    }
    return null
  }

  private splits(at: number): boolean {
    const left = this.held.slice(at - context, at)
    const right = this.held.slice(at, at + context)
    const apart = [...this.tokenizer.plain(left), ...this.tokenizer.plain(right)]
    const together = this.tokenizer.plain(left + right)
    return together.length === apart.length && together.every((id, i) => id === apart[i])
  }
}
