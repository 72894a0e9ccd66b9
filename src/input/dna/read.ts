import { exitCodes, UserError } from '../../errors.js'
import { blockSize, type Source, stdinName } from '../bytes.js'
import { refuseForeign } from '../format.js'
import { FileProblem, type InputProblem } from '../problem.js'
import { InputShare } from '../share.js'
import { unpack } from '../unpack.js'
import { Collector, type InputCounts } from './collector.js'
import type { Parser } from './fasta.js'
import { markLength, parserFor } from './format.js'
import type { RecordBatch } from './records.js'

export interface ReadOptions {
  /**
   * `fail` (default): the first bad place throws, after the records before it. `skip`: it is reported, and reading goes
   * on.
   */
  onError?: 'fail' | 'skip'
  /** Of DNA: lines without headers are records, too. */
  lines?: boolean
  /** Takes warnings and what was skipped, as they come up. */
  report?: (problem: InputProblem) => void
}

/** Batches of records, to be read once, with the counts so far. */
export interface RecordStream extends AsyncIterable<RecordBatch> {
  readonly counts: InputCounts
  /** Of records that are read from files. */
  readonly share?: InputShare
}

/**
 * Reads FASTA, FASTQ and JSON lines, plain, gzip or bgzip, one file after the other; no path, or `-`, is standard
 * input. Memory stays at a few blocks however long a record is. What is accepted and how it is cleaned: docs/input.md.
 * Errors (UserError): 65 bad data, 66 no or unreadable file, 74 reading broke off.
 */
export function readRecords(paths: readonly string[], options: ReadOptions = {}): RecordStream {
  const names = paths.length === 0 ? ['-'] : paths
  if (names.indexOf('-') !== names.lastIndexOf('-')) {
    throw new UserError(`standard input ('-') can be read only once`, exitCodes.usage)
  }
  const share = new InputShare(names)
  const sources = names.map((path) => ({ file: path === '-' ? stdinName : path, bytes: share.bytes(path) }))
  return Object.assign(readSources(sources, options), { share })
}

/** The same for bytes from anywhere. */
export function readSources(sources: Iterable<Source>, options: ReadOptions = {}): RecordStream {
  const out = new Collector(options.onError === 'skip', options.report ?? (() => {}))
  return { counts: out.counts, [Symbol.asyncIterator]: () => readAll(sources, out, options.lines) }
}

async function* readAll(sources: Iterable<Source>, out: Collector, lines?: boolean): AsyncGenerator<RecordBatch> {
  for (const { file, bytes } of sources) {
    out.startFile(file)
    const text = new Text(out, lines)
    let failure: UserError | undefined
    try {
      for await (const block of unpack(file, bytes, (warning) => out.warn(warning))) {
        for (let from = 0; from < block.length && !failure; from += blockSize) {
          failure = attempt(() => text.write(block.subarray(from, from + blockSize)))
          const batch = out.take()
          if (batch) yield batch
        }
        if (failure) break
      }
      failure ??= attempt(() => text.end())
    } catch (error) {
      if (!(error instanceof FileProblem)) throw error
      failure = attempt(() => text.breakOff()) ?? attempt(() => out.fileProblem(error, text.place))
    }
    const batch = out.take()
    if (batch) yield batch
    if (failure) throw failure
  }
}

/** The UserError that `action` throws: what was collected before it is still to be handed out. */
function attempt(action: () => void): UserError | undefined {
  try {
    action()
  } catch (error) {
    if (error instanceof UserError) return error
    throw error
  }
  return undefined
}

/**
 * The text of one file: passes over a byte order mark and leading blank lines, then leaves it to the parser of its
 * format.
 */
class Text {
  private parser: Parser | undefined
  private atStart = true
  private line = 1
  private afterCr = false

  constructor(
    private readonly out: Collector,
    private readonly lines?: boolean,
  ) {}

  write(block: Uint8Array) {
    this.out.reserve(block.length)
    if (this.parser) {
      this.parser.write(block)
      return
    }
    const from = this.skipBlank(block)
    if (from === block.length) return
    this.parser = parserFor(block[from], this.line, this.out, this.lines)
    this.parser.write(block.subarray(from))
  }

  end() {
    if (this.parser) this.parser.end()
    else this.out.warn('empty, no records')
  }

  breakOff() {
    this.parser?.breakOff?.()
  }

  /** The line that was reached. */
  get place() {
    return this.parser?.line ?? this.line
  }

  private skipBlank(block: Uint8Array): number {
    let i = 0
    if (this.atStart) {
      this.atStart = false
      refuseForeign(this.out.file, block)
      i = markLength(block)
    }
    for (; i < block.length; i++) {
      const byte = block[i]
      if (byte === 13 || (byte === 10 && !this.afterCr)) this.line++
      else if (byte !== 10 && byte !== 32 && byte !== 9) break
      this.afterCr = byte === 13
    }
    return i
  }
}
