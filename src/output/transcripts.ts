import type { Output } from './output.js'
import { type Cue, Cues, type Line, srtRows, vttRows } from './subtitles.js'
import { tsvField, tsvRows } from './tsv.js'

export const transcriptFormats = ['txt', 'srt', 'vtt', 'json', 'tsv'] as const
export type TranscriptFormat = (typeof transcriptFormats)[number]

/** Whether a file in this format can hold several recordings. */
export const holdsSeveral = (format: TranscriptFormat): boolean => format !== 'srt' && format !== 'vtt'

/** Transcripts of recordings, one after the other, word by word. */
export interface TranscriptWriter {
  /** The next words of the recording `path`; no word that is still to come begins before `until`, in seconds. */
  write(path: string, words: readonly Cue[], until: number): Promise<void>
  /** The recording is over; it may have had no words. */
  close(path: string): Promise<void>
  /** Completes the text; the output stays open for its owner to close. */
  end(): Promise<void>
}

/** `alone`: the output is about one recording, and need not say which. */
export async function transcripts(format: TranscriptFormat, output: Output, alone: boolean): Promise<TranscriptWriter> {
  switch (format) {
    case 'txt':
      return plain(output, alone)
    case 'srt': {
      const rows = await srtRows(output)
      return lineByLine((line) => rows.write(line), rows.end)
    }
    case 'vtt': {
      const rows = await vttRows(output)
      return lineByLine((line) => rows.write(line), rows.end)
    }
    case 'json':
      return json(output)
    case 'tsv': {
      const rows = await tsvRows(output, ['path', 'start', 'end', 'text'])
      const cells = ({ start, end, text }: Line, path: string) => [path, start.toFixed(3), end.toFixed(3), text]
      return lineByLine((line, path) => rows.write(cells(line, path)), rows.end)
    }
    default:
      return format satisfies never
  }
}

/** The text in one line, each word as it comes; unless it is `alone`, behind the path: `path<TAB>text`. */
function plain(output: Output, alone: boolean): TranscriptWriter {
  let words = 0
  const before = (path: string) => (words++ > 0 ? ' ' : alone ? '' : `${tsvField(path)}\t`)
  return {
    write: (path, said) => output.write(said.map(({ text }) => before(path) + text).join('')),
    async close(path) {
      await output.write(words === 0 ? `${before(path)}\n` : '\n')
      words = 0
    },
    end: async () => {},
  }
}

/** Words as lines, each written when it is complete. */
function lineByLine(write: (line: Line, path: string) => Promise<void>, end: () => Promise<void>): TranscriptWriter {
  const cues = new Cues()
  const all = async (lines: Line[], path: string) => {
    for (const line of lines) await write(line, path)
  }
  return {
    write: (path, words, until) => all(cues.push(words, until), path),
    close: (path) => all(cues.end(), path),
    end,
  }
}

/** One array of lines, with their words: an object per line of text, written as it comes. */
function json(output: Output): TranscriptWriter {
  let before = '[\n'
  const place = ({ start, end, text }: Cue) => ({ start: milli(start), end: milli(end), text })
  const write = (line: Line, path: string) => {
    const text = before + JSON.stringify({ path, ...place(line), words: line.words.map(place) })
    before = ',\n'
    return output.write(text)
  }
  return lineByLine(write, () => output.write(before === '[\n' ? '[]\n' : '\n]\n'))
}

/** Seconds to the millisecond. */
const milli = (seconds: number) => Math.round(seconds * 1000) / 1000
