/** Seconds that are looked at together: long enough for a word and the pauses around it. */
const span = 3
/** Seconds that can hold a word; less is not judged. */
const shortest = 0.1
/** Mean of the channels to the channels, both as energy: -30 dB. Channels that only differ do not come below -10. */
const faint = 1e-3
/** Energy of what counts as sound: -60 dBFS. */
const audible = 1e-6

/**
 * Notices channels that cancel each other in their mean, as when one cable of two has its poles exchanged: what was
 * said would be read as silence. Sums go frame by frame, so that the finding does not depend on how the input is cut.
 */
export class Cancellation {
  /** The frame from which on the channels cancel each other; undefined: they do not. */
  from: number | undefined
  private readonly frames: number
  private readonly fewest: number
  private start = 0
  private count = 0
  private mean = 0
  private channels = 0

  /** `rate`: frames per second. */
  constructor(rate: number) {
    this.frames = Math.ceil(span * rate)
    this.fewest = shortest * rate
  }

  /** Takes the energy of the mean of a frame and the mean of the energies of its channels. */
  add(mean: number, channels: number): void {
    this.mean += mean
    this.channels += channels
    if (++this.count === this.frames) this.judge()
  }

  /** A recording shorter than the span is looked at as a whole. */
  end(): void {
    if (this.start === 0 && this.count >= this.fewest) this.judge()
  }

  private judge(): void {
    if (this.channels > audible * this.count && this.mean < faint * this.channels) this.from ??= this.start
    this.start += this.count
    this.count = this.mean = this.channels = 0
  }
}
