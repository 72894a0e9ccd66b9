import { type Chunk, type Input, joinInputs } from './chunk.js'

/** A sequence, or the next piece of one, with what the caller wants to know of it later. */
export interface Piece<Note> {
  input: Input
  note: Note
  /** See `Chunk`; all pieces have them, or none. */
  targets?: Int32Array
  /** Token rows of the sequence before this piece. */
  start: number
  /** The sequence ends with it. */
  ends: boolean
  /** Where the state of a sequence in several pieces is kept; -1 for one that comes whole. */
  slot: number
  /** Its chunk goes out with it: nobody knows when the next piece comes. */
  urgent?: boolean
  /** It keeps its place but is not computed: what it would give is known. */
  known?: boolean
}

/** Sequences packed without padding, and one note for each, in order; those that are known are no segments. */
export interface Packed<Note> extends Chunk {
  notes: Note[]
}

/**
 * Fills chunks of at most `chunk` token rows with sequences and pieces of sequences, in order; of two pieces of the same sequence the
 * second opens a new chunk. A longer sequence gets a chunk of its own. Nothing is cut here and nothing is padded. `width`: numbers of an
 * input per token row; `join` puts the inputs of a chunk one after the other, and may have their buffers.
 */
export async function* pack<Note>(
  pieces: AsyncIterable<Piece<Note>> | Iterable<Piece<Note>>,
  chunk: number,
  width = 1,
  join: (inputs: Input[]) => Input = joinInputs,
): AsyncGenerator<Packed<Note>> {
  let packed: Piece<Note>[] = []
  let rows = 0
  for await (const piece of pieces) {
    const length = piece.input.length / width
    const again = piece.slot >= 0 && packed.some(({ slot }) => slot === piece.slot)
    if (rows > 0 && (again || rows + length > chunk)) {
      yield chunkOf(packed, width, join)
      packed = []
      rows = 0
    }
    packed.push(piece)
    rows += length
    if (rows >= chunk || piece.urgent) {
      yield chunkOf(packed, width, join)
      packed = []
      rows = 0
    }
  }
  if (rows > 0) yield chunkOf(packed, width, join)
}

function chunkOf<Note>(all: Piece<Note>[], width: number, join: (inputs: Input[]) => Input): Packed<Note> {
  const pieces = all.filter(({ known }) => !known)
  const offsets = new Float64Array(pieces.length + 1)
  for (const [s, { input }] of pieces.entries()) offsets[s + 1] = offsets[s] + input.length / width
  return {
    input: pieces.length > 0 ? join(pieces.map(({ input }) => input)) : all[0].input.subarray(0, 0),
    segments: {
      offsets,
      start: Float64Array.from(pieces, ({ start }) => start),
      ends: Uint8Array.from(pieces, ({ ends }) => (ends ? 1 : 0)),
      slot: Int32Array.from(pieces, ({ slot }) => slot),
    },
    targets: pieces[0]?.targets && (joinInputs(pieces.map(({ targets }) => targets!)) as Int32Array),
    notes: all.map(({ note }) => note),
  }
}
