/** Seconds that share one peak. */
const step = 0.1

/** -70 dBFS: ten steps of 16 bits. The noise of any microphone is louder. */
const silence = 10 ** (-70 / 20)

/** The largest sample of every tenth of a second of a recording, as it is read: 1 MB for seven hours. */
export class Peaks {
  private peaks = new Float32Array(600)
  private samples = 0

  /** `offset`: seconds of the recording that were passed over before the first sample. */
  constructor(
    private readonly rate: number,
    private readonly offset: number,
  ) {}

  add(samples: Float32Array): void {
    const { rate } = this
    const needed = Math.floor((this.samples + samples.length) / (step * rate)) + 1
    if (needed > this.peaks.length) {
      const more = new Float32Array(2 * needed)
      more.set(this.peaks)
      this.peaks = more
    }
    for (let i = 0; i < samples.length; ) {
      const k = Math.floor((this.samples + i) / (step * rate))
      const end = Math.min(samples.length, Math.max(i + 1, Math.ceil((k + 1) * step * rate) - this.samples))
      let peak = this.peaks[k]
      for (; i < end; i++) peak = Math.max(peak, Math.abs(samples[i]))
      this.peaks[k] = peak
    }
    this.samples += samples.length
  }

  /** Whether nothing is heard between two times of the recording, in seconds, or within a tenth of a second of them. */
  silent(start: number, end: number): boolean {
    const from = Math.max(0, Math.floor((start - this.offset) / step))
    const to = Math.ceil((end - this.offset) / step)
    return this.peaks.subarray(from, to).every((peak) => peak < silence)
  }
}
