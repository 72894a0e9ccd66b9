import type { ScoredSite } from '../../output/variants.js'

/** A site on its way. */
export interface WaitingSite extends ScoredSite {
  /** What is still to be said of it: REF is 0. */
  missing: number[]
  /** Of the window with REF. */
  embedding?: Float32Array
}

/** Bytes of lines after which the windows among them are computed though they fill no chunk; and those that a line takes besides its own (docs/decisions.md). */
const bunchBytes = 4 * 2 ** 20
const besides = 1024

/**
 * The lines of a VCF in its order, from the reader to the writer: those without scores wait for what is computed of those before them. Who reads
 * on waits until no more than a bunch of them is here.
 */
export class WaitingSites {
  private readonly sites: WaitingSite[] = []
  private bytes = 0
  private sinceBunch = 0
  private closed = false
  private readOn = () => {}
  private wake = () => {}

  get first(): WaitingSite {
    return this.sites[0]
  }

  /** Whether a bunch is full: who reads lines is to see to it that all of them are computed, and to wait for `room`. */
  push(site: WaitingSite): boolean {
    const bytes = bytesOf(site)
    this.sites.push(site)
    this.bytes += bytes
    this.sinceBunch += bytes
    if (this.sinceBunch < bunchBytes) return false
    this.sinceBunch = 0
    return true
  }

  /** False: nobody takes them any more. */
  async room(): Promise<boolean> {
    while (this.bytes > bunchBytes && !this.closed) {
      this.wake()
      await new Promise<void>((resolve) => {
        this.readOn = resolve
      })
    }
    return !this.closed
  }

  /** Who reads waits for room. */
  full(): Promise<null> {
    return new Promise((resolve) => {
      this.wake = () => resolve(null)
    })
  }

  /** The first ones, as far as nothing of them is missing. */
  *ready(): Generator<ScoredSite> {
    while (this.sites.length > 0 && this.first.missing.length === 0) {
      const site = this.sites.shift()!
      this.bytes -= bytesOf(site)
      if (this.bytes <= bunchBytes) this.readOn()
      yield site
    }
  }

  close(): void {
    this.closed = true
    this.readOn()
  }
}

const bytesOf = ({ site }: WaitingSite) => site.bytes.length + besides
