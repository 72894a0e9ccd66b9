import { exitCodes, UserError } from '../../errors.js'
import { type Source, stdinName } from '../bytes.js'
import { markLength } from '../dna/format.js'
import type { ReadOptions } from '../dna/read.js'
import { nameId, type SequenceRecord } from '../dna/records.js'
import { FileProblem, Problems, type SkipCounts } from '../problem.js'
import { InputShare } from '../share.js'
import { unpack } from '../unpack.js'
import { JsonTextLines, type LineParser, PlainLines, type TextPart } from './lines.js'

/** Texts, to be read once, with what was passed over so far. */
export interface TextStream extends AsyncIterable<TextPart> {
  readonly counts: SkipCounts
  /** Of texts that are read from files. */
  readonly share?: InputShare
  /** What is wrong with a text that was handed out. Errors: 65, unless bad records are skipped. */
  refuse(record: SequenceRecord, why: string): void
}

/** What is expected of files, for messages. */
const expected = 'lines of text or JSON lines'

/**
 * Reads texts, plain, gzip or bgzip, one file after the other; no path, or `-`, is standard input. Every line is one, or
 * the "text" of JSON lines, which a file holds that begins with a brace and a quote. A line of any length is read in parts.
 * Errors (UserError): 65 bad data, 66 no or unreadable file, 74 reading broke off.
 */
export function readTexts(paths: readonly string[], options: ReadOptions = {}): TextStream {
  const names = paths.length === 0 ? ['-'] : paths
  const share = new InputShare(names)
  const sources = names.map((path) => ({ file: path === '-' ? stdinName : path, bytes: share.bytes(path) }))
  return Object.assign(readTextSources(sources, options), { share })
}

/** The same for bytes from anywhere. */
export function readTextSources(sources: Iterable<Source>, options: ReadOptions = {}): TextStream {
  const counts = { skippedRecords: 0, skippedFiles: 0 }
  const problems = new Problems(options.onError === 'skip', options.report ?? (() => {}), counts)
  return streamOf(counts, problems, readAll(sources, problems))
}

/** A text that a program has in memory. */
export interface GivenText {
  id: string
  text: string
}

export type GivenTexts = Iterable<GivenText> | AsyncIterable<GivenText>

/** What messages call the file of a text that is in none. */
const name = 'texts'

/** Texts as they are read from files. Errors (UserError): 65 for what is none. */
export function givenTexts(texts: GivenTexts): TextStream {
  const counts = { skippedRecords: 0, skippedFiles: 0 }
  return streamOf(counts, new Problems(false, () => {}, counts), parts(texts))
}

async function* parts(texts: GivenTexts): AsyncGenerator<TextPart> {
  let line = 0
  for await (const given of texts) {
    line++
    const { id, text } = given ?? {}
    if (typeof id !== 'string' || typeof text !== 'string')
      throw new UserError(`${name}: record ${line}: expected an object { id, text } of two texts`, exitCodes.data)
    yield { record: { id, file: name, line }, text, first: true, last: true, aborted: false }
  }
}

const streamOf = (counts: SkipCounts, problems: Problems, parts: AsyncIterable<TextPart>): TextStream => ({
  counts,
  refuse: ({ file, id, line }, why) => problems.record(file, `record ${nameId(id)}, line ${line}: ${why}`),
  [Symbol.asyncIterator]: () => parts[Symbol.asyncIterator](),
})

async function* readAll(sources: Iterable<Source>, problems: Problems): AsyncGenerator<TextPart> {
  for (const { file, bytes } of sources) {
    let parser: LineParser | null = null
    /** Bytes of a line came that has not ended. */
    let open = false
    try {
      for await (const block of unpack(file, bytes, (warning) => problems.warn(file, warning), expected)) {
        let from = parser === null ? markLength(block) : 0
        parser ??= parserFor(block.subarray(from), file, problems)
        while (from < block.length) {
          const end = block.indexOf(10, from)
          yield* parser.take(block.subarray(from, end < 0 ? block.length : end), end >= 0)
          open = end < 0
          from = open ? block.length : end + 1
        }
      }
      if (parser === null) problems.warn(file, 'empty, no text')
      else if (open) yield* parser.take(new Uint8Array(0), true)
    } catch (error) {
      if (!(error instanceof FileProblem)) throw error
      if (parser) yield* parser.breakOff()
      problems.file(file, `${parser ? `line ${parser.line}: ` : ''}${error.message}`, error.exitCode)
    }
  }
}

/** By the start of the file. */
function parserFor(head: Uint8Array, file: string, problems: Problems): LineParser {
  const start = Buffer.from(head.subarray(0, 256)).toString('latin1')
  return /^\s*\{\s*"/.test(start) ? new JsonTextLines(file, problems, 1) : new PlainLines(file, problems, 1)
}
