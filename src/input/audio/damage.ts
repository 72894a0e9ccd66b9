/** Seconds of silence beyond which a time is taken for damage itself: 30 hours, as for what ffmpeg reads. */
export const longestHole = 108_000

/** Counts what could not be decoded, for one line about all of it. */
export class Damage {
  private places = 0
  private seconds = 0
  private first = 0

  /** `at`: where in time it is; `silent`: seconds that became silence. */
  add(at: number, silent: number): void {
    if (this.places++ === 0) this.first = at
    this.seconds += silent
  }

  /** Undefined: nothing was damaged. */
  get line(): string | undefined {
    if (this.places === 0) return undefined
    const where = this.places === 1 ? 'at' : `in ${this.places} places, the first at`
    const what = this.seconds > 0 ? `${this.seconds.toFixed(3)} s are read as silence` : 'passed over'
    return `damaged ${where} ${this.first.toFixed(3)} s: ${what}`
  }
}

/** The same words wherever a file ends before its header says. */
export function cutOff(read: number, expected: number, rate: number): string {
  const seconds = (samples: number) => `${(samples / rate).toFixed(3)} s`
  return `cut off: ${read} of ${expected} samples read (${seconds(read)} of ${seconds(expected)})`
}
