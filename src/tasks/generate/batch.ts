import type { Chunk } from '../../engine/chunk.js'
import type { Read } from '../../engine/outputs.js'
import type { Continuation } from './continuation.js'

/** Sequences that one worker decodes together, each with its state in a slot. */
export class Batch {
  private readonly slots: (Continuation | null)[]
  /** Those whose next token the chunk that is computed gives. */
  private asked: Continuation[] = []

  /** `chunk`: rows at a time, no fewer than slots. */
  constructor(
    slots: number,
    private readonly chunk: number,
  ) {
    this.slots = Array.from({ length: slots }, () => null)
  }

  get used(): number {
    return this.slots.filter((slot) => slot !== null).length
  }

  get full(): boolean {
    return this.used === this.slots.length
  }

  add(continuation: Continuation): void {
    this.slots[this.slots.indexOf(null)] = continuation
  }

  /** The last token of each sequence; while it is read, pieces of its prompt, as far as there is room for them. */
  next(): Chunk {
    let room = this.chunk
    const pieces: { slot: number; ids: Int32Array; start: number; ends: boolean }[] = []
    const active = [...this.slots.entries()].flatMap(([slot, one]) => (one ? [{ slot, one }] : []))
    // Sequences with one token to read come first: they always find room.
    active.sort((a, b) => a.one.unread.length - b.one.unread.length || a.slot - b.slot)
    this.asked = []
    for (const { slot, one } of active) {
      const ids = one.unread.subarray(0, room)
      if (ids.length === 0) continue
      room -= ids.length
      pieces.push({ slot, ids, start: one.read, ends: ids.length === one.unread.length })
      one.advance(ids.length)
      if (one.unread.length === 0) this.asked.push(one)
    }
    const offsets = new Int32Array(pieces.length + 1)
    for (const [s, { ids }] of pieces.entries()) offsets[s + 1] = offsets[s] + ids.length
    const input = new Int32Array(offsets[pieces.length])
    for (const [s, { ids }] of pieces.entries()) input.set(ids, offsets[s])
    return {
      input,
      segments: {
        offsets,
        start: Float64Array.from(pieces, ({ start }) => start),
        // Only the last row of such a piece is read; the sequence goes on all the same.
        ends: Uint8Array.from(pieces, ({ ends }) => (ends ? 1 : 0)),
        slot: Int32Array.from(pieces, ({ slot }) => slot),
      },
    }
  }

  /** With the logits [asked, V] of that chunk. */
  take({ data, width }: Read): void {
    for (const [i, one] of this.asked.entries()) one.choose(data, i * width, width)
    for (const [slot, one] of this.slots.entries()) if (one?.finish) this.slots[slot] = null
  }
}
