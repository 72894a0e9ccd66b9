import type { Output } from './output.js'
import type { RowWriter } from './rows.js'

/** Text on the screen from start to end, in seconds. */
export interface Cue {
  start: number
  end: number
  text: string
}

/** A line of words, as it is on the screen. */
export interface Line extends Cue {
  words: Cue[]
}

export interface CueLimits {
  /** Characters of a line, a longer word excepted. */
  characters: number
  /** Seconds of a line. */
  seconds: number
  /** A silence of this many seconds ends a line. */
  pause: number
  /** Seconds that a line stays on the screen at least, and from its start to that of the next one. */
  shortest: number
}

/** As subtitling guides have it: 42 characters, half a second to 7. */
export const cueLimits: CueLimits = { characters: 42, seconds: 7, pause: 0.8, shortest: 0.5 }

/** Words in order, as `{ text, start, end }`, to lines, piece by piece. */
export class Cues {
  private line: Line | null = null

  constructor(private readonly limits: CueLimits = cueLimits) {}

  /** The lines that these words complete; no word that is still to come begins before `until`. */
  push(words: readonly Cue[], until: number): Line[] {
    const done: Line[] = []
    for (const word of words) {
      if (this.line && !this.fits(this.line, word)) done.push(...this.end())
      if (this.line === null) this.line = { ...word, words: [word] }
      else {
        this.line.end = word.end
        this.line.text += ` ${word.text}`
        this.line.words.push(word)
      }
    }
    if (this.line && this.isOver(this.line, until)) done.push(...this.end())
    return done
  }

  /** The last line, if one is open. */
  end(): Line[] {
    const done = this.line ? [this.line] : []
    this.line = null
    return done
  }

  private fits(line: Cue, word: Cue): boolean {
    const { characters, seconds, shortest } = this.limits
    if (word.start - line.start < shortest) return true
    const length = [...line.text, ' ', ...word.text].length
    return length <= characters && word.end - line.start <= seconds && !this.isOver(line, word.start)
  }

  /** No word that begins at `next` or later fits. */
  private isOver(line: Cue, next: number): boolean {
    const { seconds, pause } = this.limits
    return next - line.end >= pause || next - line.start >= seconds
  }
}

/** A line as it is shown: one that is said faster stays half a second, which `Cues` keeps free of the next one. */
const shown = ({ start, end, text }: Cue): Cue => ({ start, end: Math.max(end, start + cueLimits.shortest), text })

/** SubRip: numbered blocks. */
export async function srtRows(output: Output): Promise<RowWriter<Cue>> {
  let number = 0
  return {
    write: (line) => {
      const { start, end, text } = shown(line)
      return output.write(`${++number}\n${srtTime(start)} --> ${srtTime(end)}\n${oneLine(text)}\n\n`)
    },
    end: async () => {},
  }
}

/** WebVTT (W3C): a header, then blocks; `&`, `<` and `>` are escaped. */
export async function vttRows(output: Output): Promise<RowWriter<Cue>> {
  await output.write('WEBVTT\n\n')
  return {
    write: (line) => {
      const { start, end, text } = shown(line)
      const escaped = oneLine(text).replace(/[&<>]/g, (c) => entities[c as keyof typeof entities])
      return output.write(`${vttTime(start)} --> ${vttTime(end)}\n${escaped}\n\n`)
    },
    end: async () => {},
  }
}

const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

/** A blank line would end the block. */
const oneLine = (text: string) => text.replace(/\s*[\r\n]+\s*/g, ' ').trim()

/** Seconds as 00:01:02,345; hours take as many digits as they need. */
export const srtTime = (seconds: number) => time(seconds, ',')
/** Seconds as 00:01:02.345. */
export const vttTime = (seconds: number) => time(seconds, '.')

function time(seconds: number, point: string): string {
  // Rounded once, as a whole: 59.9996 s is 00:01:00,000.
  const ms = Math.round(seconds * 1000)
  const part = (unit: number, size: number) => Math.floor(ms / unit) % size
  const two = (x: number) => String(x).padStart(2, '0')
  const hours = two(Math.floor(ms / 3_600_000))
  return `${hours}:${two(part(60_000, 60))}:${two(part(1000, 60))}${point}${String(ms % 1000).padStart(3, '0')}`
}
