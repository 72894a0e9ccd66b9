import type { Page } from './pages.js'

/** Longer packets are tags with pictures, of which nothing is needed, or damage: the rest of them is let go. */
const longestPacket = 1 << 22

/** Joins the pieces of the pages of one stream to packets. */
export class Packets {
  /** Whether pages are missing between this one and the one before. */
  isBroken = false
  private sequence: number | undefined
  private pieces: Uint8Array[] = []
  private held = 0

  /** The packets that end in this page. */
  take(page: Page): Uint8Array[] {
    this.isBroken = this.sequence !== undefined && page.sequence !== (this.sequence + 1) >>> 0
    this.sequence = page.sequence
    const packets: Uint8Array[] = []
    const isWhole = page.isContinued && this.pieces.length > 0 && !this.isBroken
    if (!isWhole) this.clear()
    for (const [i, piece] of page.pieces.entries()) {
      // The end of a packet whose start is lost.
      if (i === 0 && page.isContinued && !isWhole) continue
      this.add(piece)
      if (i < page.pieces.length - 1 || !page.goesOn) {
        packets.push(this.pieces.length === 1 ? this.pieces[0] : Buffer.concat(this.pieces))
        this.clear()
      }
    }
    return packets
  }

  private add(piece: Uint8Array) {
    if (this.held < longestPacket || this.pieces.length === 0) this.pieces.push(piece)
    this.held += piece.length
  }

  private clear() {
    this.pieces = []
    this.held = 0
  }
}
