import { type Damage, longestHole } from '../damage.js'
import { type Block, lengthOf, part, silence } from '../decoded.js'
import type { Codec } from './codec.js'
import { Packets } from './packets.js'
import type { Page } from './pages.js'

/**
 * One stream of an Ogg file, from its first page to its last. A page says where in the stream it ends: what was lost in
 * front of it becomes silence, and what the last one has too many of is left out.
 */
export class Link {
  /** Samples handed out. */
  given = 0
  isEnded = false
  private readonly packets = new Packets()
  /** Where the samples of the pages so far end, as the pages count; undefined: none had any. */
  private position: number | undefined
  private toSkip: number
  private isLost = false

  /** `start`: seconds in front of the link. */
  constructor(
    readonly serial: number,
    readonly codec: Codec,
    private readonly damage: Damage,
    private readonly start: number,
  ) {
    this.toSkip = codec.skip
  }

  /** Where in time the next sample stands. */
  get seconds(): number {
    return this.start + this.given / this.codec.rate
  }

  /** `isAfterDamage`: bytes that are no page stood in front of it. */
  async *take(page: Page, isAfterDamage: boolean): AsyncGenerator<Block> {
    const blocks: Block[] = []
    const packets = this.packets.take(page)
    // Before the first samples pages may be missing because the recording was begun in the middle.
    this.isLost ||= isAfterDamage || (this.packets.isBroken && this.position !== undefined)
    let length = 0
    for (const packet of packets) {
      const block = packet.length > 0 ? await this.codec.decode(packet) : undefined
      if (block) {
        length += lengthOf(block)
        blocks.push(block)
      } else this.isLost ||= packet.length > 0
    }
    this.isEnded = page.isLast
    if (length === 0) return
    if (page.granule === undefined) yield* this.recorded(blocks)
    else yield* this.inTime(blocks, length, page.granule, isAfterDamage)
  }

  private *inTime(blocks: Block[], length: number, granule: number, isAfterDamage: boolean): Generator<Block> {
    // What was recorded of a stream that had begun before counts from its first page, which may be the last one too.
    this.position ??= this.isEnded || isAfterDamage ? 0 : Math.max(0, granule - length)
    const expected = granule - this.position
    if (this.isLost) {
      const { rate } = this.codec
      const missing = expected - length
      const hole = missing > 0 && missing <= longestHole * rate ? missing : 0
      this.damage.add(this.seconds, hole / rate)
      yield* this.recorded(silence(blocks[0], hole))
    }
    yield* this.recorded(this.isEnded ? shortened(blocks, expected) : blocks)
    this.position = granule
    this.isLost = false
  }

  /** Without what is in front of the recording. */
  private *recorded(blocks: Iterable<Block>): Generator<Block> {
    for (const block of blocks) {
      const skipped = Math.min(this.toSkip, lengthOf(block))
      this.toSkip -= skipped
      const piece = part(block, skipped, lengthOf(block))
      this.given += lengthOf(piece)
      if (lengthOf(piece) > 0) yield piece
    }
  }
}

function* shortened(blocks: Block[], samples: number): Generator<Block> {
  let left = samples
  for (const block of blocks) {
    const piece = part(block, 0, left)
    left -= lengthOf(piece)
    yield piece
  }
}
