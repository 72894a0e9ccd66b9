import { exitCodes, UserError } from '../../errors.js'
import { blockSize } from '../bytes.js'
import { Collector } from './collector.js'
import { NEWLINE } from './letters.js'
import type { RecordStream } from './read.js'
import type { RecordBatch } from './records.js'

/** A sequence that a program has in memory: letters as in a FASTA file (docs/input.md). */
export interface GivenSequence {
  id: string
  sequence: string
}

export type GivenSequences = Iterable<GivenSequence> | AsyncIterable<GivenSequence>

/** What messages call the file and the line of a sequence that is in none: `sequences: record a, line 3` is the third. */
const name = 'sequences'

/** Sequences as the records that readers give. Errors (UserError): 65 for what is no sequence, as in a file. */
export function givenRecords(sequences: GivenSequences): RecordStream {
  const out = new Collector(false, () => {})
  out.startFile(name)
  return { counts: out.counts, [Symbol.asyncIterator]: () => batches(sequences, out) }
}

async function* batches(sequences: GivenSequences, out: Collector): AsyncGenerator<RecordBatch> {
  let number = 0
  for await (const given of sequences) {
    number++
    const { id, sequence } = given ?? {}
    if (typeof id !== 'string' || typeof sequence !== 'string')
      throw new UserError(`${name}: record ${number}: expected an object { id, sequence } of two texts`, exitCodes.data)
    out.begin(id, number)
    for (let from = 0; from < sequence.length; from += blockSize) {
      append(out, Buffer.from(sequence.slice(from, from + blockSize)), number)
      const batch = out.length >= blockSize ? out.take() : undefined
      if (batch) yield batch
    }
    out.end()
  }
  const batch = out.take()
  if (batch) yield batch
}

function append(out: Collector, bytes: Uint8Array, number: number): void {
  out.reserve(bytes.length)
  for (let i = 0; i < bytes.length; ) {
    i = out.append(bytes, i, bytes.length)
    if (i < bytes.length && out.table[bytes[i]] !== NEWLINE) out.accept(bytes[i], number)
    i++
  }
}
