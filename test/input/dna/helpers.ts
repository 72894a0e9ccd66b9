import { bases } from '../../../src/input/dna/letters.js'
import { type ReadOptions, type RecordStream, readSources } from '../../../src/input/dna/read.js'

export interface Read {
  records: { id: string; line: number; sequence: string }[]
  /** Ids of records that were begun and then aborted. */
  aborted: string[]
  problems: string[]
  counts: RecordStream['counts']
  error?: Error
}

const letters = Buffer.from(bases)

/** Reads a stream to its end or its error, and checks that the pieces of every record fit together. */
export async function readAll(open: (options: ReadOptions) => RecordStream, onError: 'fail' | 'skip' = 'fail') {
  const problems: string[] = []
  const stream = open({ onError, report: ({ kind, message }) => problems.push(`${kind}: ${message}`) })
  const read: Read = { records: [], aborted: [], problems, counts: stream.counts }
  let current: object | undefined
  let sequence = ''
  try {
    for await (const { codes, pieces } of stream) {
      for (const { record, offset, start, end, first, last, aborted } of pieces) {
        if (first !== (current === undefined)) throw new Error('a record starts inside another')
        if (!first && record !== current) throw new Error('pieces of one record have two record objects')
        if (first) sequence = ''
        if (offset !== sequence.length) throw new Error('a piece is not at its offset')
        sequence += Buffer.from(codes.subarray(start, end).map((code) => letters[code])).toString('latin1')
        current = last ? undefined : record
        if (aborted) read.aborted.push(record.id)
        else if (last) read.records.push({ id: record.id, line: record.line, sequence })
      }
    }
    if (current) throw new Error('a record has no end')
  } catch (error) {
    read.error = error as Error
  }
  return read
}

/** A block is overwritten when the second next one is asked for, as those of a file are. */
async function* asBlocks(blocks: Uint8Array[]) {
  let before: Buffer | undefined
  for (const block of blocks) {
    const own = Buffer.from(block)
    yield own
    before?.fill('@')
    before = own
  }
}

/** Reads bytes that come in these blocks. */
export function readBlocks(blocks: Uint8Array[], onError: 'fail' | 'skip' = 'fail') {
  return readAll((options) => readSources([{ file: 'test', bytes: asBlocks(blocks) }], options), onError)
}

export const readText = (text: string, onError: 'fail' | 'skip' = 'fail') => readBlocks([Buffer.from(text)], onError)

/** Numbers in [0, 1) from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
