import type { Segments } from '../backends/backend.js'
import { type Chunk, type Input, joinInputs } from './chunk.js'

/** A sequence, or the next piece of one, with what the caller wants to know of it later. */
export interface Piece<Note> {
  input: Input
  note: Note
  /** This piece carries on the piece before it. */
  continues: boolean
  /** Another piece of the same sequence follows. */
  goesOn: boolean
}

/** Sequences packed without padding; one note per segment. */
export interface Packed<Note> extends Chunk {
  notes: Note[]
}

/**
 * Fills chunks of at most `chunk` token rows with whole sequences, in order. A longer sequence, or a piece of a cut one,
 * gets a chunk of its own. No sequence is cut here and none is padded. `width`: numbers of an input per token row; `join` puts
 * the inputs of a chunk one after the other, and may have their buffers.
 */
export async function* pack<Note>(
  pieces: AsyncIterable<Piece<Note>> | Iterable<Piece<Note>>,
  chunk: number,
  width = 1,
  join: (inputs: Input[]) => Input = joinInputs,
): AsyncGenerator<Packed<Note>> {
  let inputs: Input[] = []
  let ends: number[] = []
  let notes: Note[] = []
  let rows = 0
  const flush = (): Packed<Note> => {
    const full = { input: join(inputs), segments: segmentsOf(ends, false, false), notes }
    inputs = []
    ends = []
    notes = []
    rows = 0
    return full
  }
  for await (const piece of pieces) {
    const length = piece.input.length / width
    const alone = piece.continues || piece.goesOn || length > chunk
    if (rows > 0 && (alone || rows + length > chunk)) yield flush()
    if (alone) {
      yield {
        input: piece.input,
        segments: segmentsOf([length], piece.continues, piece.goesOn),
        notes: [piece.note],
      }
      continue
    }
    inputs.push(piece.input)
    rows += length
    ends.push(rows)
    notes.push(piece.note)
  }
  if (rows > 0) yield flush()
}

function segmentsOf(ends: number[], continues: boolean, goesOn: boolean): Segments {
  const offsets = new Int32Array(ends.length + 1)
  offsets.set(ends, 1)
  return { offsets, continues, goesOn }
}
