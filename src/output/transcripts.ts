import { exitCodes, UserError } from '../errors.js'
import type { Output } from './output.js'
import type { RowWriter } from './rows.js'
import { type Cue, type Line, srtRows, vttRows } from './subtitles.js'
import { tsvField, tsvRows } from './tsv.js'

export const transcriptFormats = ['txt', 'srt', 'vtt', 'json', 'tsv'] as const
export type TranscriptFormat = (typeof transcriptFormats)[number]

/** Transcripts of recordings, one after the other, line by line. */
export interface TranscriptWriter {
  /** The next line of the recording `path`. */
  write(path: string, line: Line): Promise<void>
  /** The recording is over; it may have had no line. */
  close(path: string): Promise<void>
  /** Completes the text; the output stays open for its owner to close. */
  end(): Promise<void>
}

/** Errors: 2 for several recordings in a format that holds one. */
export async function transcripts(
  format: TranscriptFormat,
  output: Output,
  recordings: number,
): Promise<TranscriptWriter> {
  if (recordings > 1 && (format === 'srt' || format === 'vtt')) {
    await output.abort()
    const text = `${format} holds one recording: name one input, or use --format tsv or json`
    throw new UserError(text, exitCodes.usage)
  }
  switch (format) {
    case 'txt':
      return plain(output, recordings > 1)
    case 'srt':
      return rows(await srtRows(output), (line) => line)
    case 'vtt':
      return rows(await vttRows(output), (line) => line)
    case 'json':
      return json(output)
    case 'tsv': {
      const table = await tsvRows(output, ['path', 'start', 'end', 'text'])
      return rows(table, ({ start, end, text }, path) => [path, start.toFixed(3), end.toFixed(3), text])
    }
    default:
      return format satisfies never
  }
}

/** The text alone in one line, or, of several recordings, a line for each: `path<TAB>text`. */
function plain(output: Output, several: boolean): TranscriptWriter {
  let lines = 0
  const before = (path: string) => (lines++ > 0 ? ' ' : several ? `${tsvField(path)}\t` : '')
  return {
    write: (path, { text }) => output.write(before(path) + text),
    async close(path) {
      await output.write(lines === 0 ? `${before(path)}\n` : '\n')
      lines = 0
    },
    end: async () => {},
  }
}

function rows<Row>(writer: RowWriter<Row>, rowOf: (line: Line, path: string) => Row): TranscriptWriter {
  return {
    write: (path, line) => writer.write(rowOf(line, path)),
    close: async () => {},
    end: () => writer.end(),
  }
}

/** One array of lines, with their words: an object per line of text, written as it comes. */
function json(output: Output): TranscriptWriter {
  let before = '[\n'
  const place = ({ start, end, text }: Cue) => ({ start: milli(start), end: milli(end), text })
  return {
    async write(path, line) {
      const object = JSON.stringify({ path, ...place(line), words: line.words.map(place) })
      const text = before + object
      before = ',\n'
      await output.write(text)
    },
    close: async () => {},
    end: () => output.write(before === '[\n' ? '[]\n' : '\n]\n'),
  }
}

/** Seconds to the millisecond. */
const milli = (seconds: number) => Math.round(seconds * 1000) / 1000
