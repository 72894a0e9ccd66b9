import type { Segments } from '../backends/backend.js'

/** A sequence, or the next piece of one, as token ids with what the caller wants to know of it later. */
export interface Piece<Note> {
  ids: Int32Array
  note: Note
  /** This piece carries on the piece before it. */
  continues: boolean
  /** Another piece of the same sequence follows. */
  goesOn: boolean
}

/** Sequences packed without padding; one note per segment. */
export interface Packed<Note> {
  ids: Int32Array
  segments: Segments
  notes: Note[]
}

/**
 * Fills chunks of at most `chunk` token rows with whole sequences, in order. A longer sequence, or a piece of a cut one,
 * gets a chunk of its own. No sequence is cut here and none is padded.
 */
export async function* pack<Note>(
  pieces: AsyncIterable<Piece<Note>> | Iterable<Piece<Note>>,
  chunk: number,
): AsyncGenerator<Packed<Note>> {
  let ids = new Int32Array(chunk)
  let ends: number[] = []
  let notes: Note[] = []
  let rows = 0
  const flush = (): Packed<Note> => {
    const full = { ids: ids.subarray(0, rows), segments: segmentsOf(ends, false, false), notes }
    ids = new Int32Array(chunk)
    ends = []
    notes = []
    rows = 0
    return full
  }
  for await (const piece of pieces) {
    const alone = piece.continues || piece.goesOn || piece.ids.length > chunk
    if (rows > 0 && (alone || rows + piece.ids.length > chunk)) yield flush()
    if (alone) {
      const segments = segmentsOf([piece.ids.length], piece.continues, piece.goesOn)
      yield { ids: piece.ids, segments, notes: [piece.note] }
      continue
    }
    ids.set(piece.ids, rows)
    rows += piece.ids.length
    ends.push(rows)
    notes.push(piece.note)
  }
  if (rows > 0) yield flush()
}

function segmentsOf(ends: number[], continues: boolean, goesOn: boolean): Segments {
  return { offsets: Int32Array.of(0, ...ends), continues, goesOn }
}
