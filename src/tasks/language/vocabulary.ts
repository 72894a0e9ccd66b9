import { exitCodes, UserError } from '../../errors.js'

/**
 * A transcript as it is compared: lower case, words of letters, digits and the apostrophes inside them, one space
 * between words; all else separates words. `Don’t -- STOP!` is `don't stop`.
 */
export function normaliseTranscript(text: string): string {
  const words = text
    .normalize('NFC')
    .toLowerCase()
    .replace(/[’ʼ]/g, "'")
    .match(/[\p{L}\p{M}\p{N}]+(?:'[\p{L}\p{M}\p{N}]+)*/gu)
  return words?.join(' ') ?? ''
}

/**
 * Texts as the tokens of a CTC head. Entry 0 is the blank; the others write a character, or a word and the space after
 * it.
 */
export class Vocabulary {
  private readonly tokens: Map<string, number>
  private readonly units: 'characters' | 'words'

  constructor(readonly entries: string[]) {
    this.tokens = new Map(entries.map((entry, token) => [entry, token]))
    this.units = entries.some((entry) => [...entry].length > 1) ? 'words' : 'characters'
  }

  /** Of all that occurs in the texts. */
  static of(texts: readonly string[], units: 'characters' | 'words'): Vocabulary {
    const found = new Set(texts.flatMap((text) => pieces(normaliseTranscript(text), units)))
    return new Vocabulary(['', ...[...found].sort()])
  }

  /** Whether the other entries write all that these do. */
  isWithin(others: readonly string[]): boolean {
    return this.entries.every((entry) => others.includes(entry))
  }

  /** `name` says whose text it is. Errors: 65, or the code given, for what no entry writes. */
  encode(text: string, name: string, code: number = exitCodes.data): Int32Array {
    return Int32Array.from(pieces(normaliseTranscript(text), this.units), (piece) => {
      const token = this.tokens.get(piece)
      if (token !== undefined) return token
      throw new UserError(`${name}: '${piece.trim()}' does not occur in the texts of the training set`, code)
    })
  }
}

function pieces(text: string, units: 'characters' | 'words'): string[] {
  if (units === 'characters') return [...text]
  return text === '' ? [] : text.split(' ').map((word) => `${word} `)
}
