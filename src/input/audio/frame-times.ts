/** Seconds by which times may be off: they are rounded, and encoders put some 50 ms in front. */
const tolerance = 0.1
/** Seconds without sound beyond which a time is taken for damage, as ffmpeg does: 30 hours. */
const longest = 108_000

/** A line of ffmpeg's `ashowinfo`, which comes before the samples that it is about. */
const line = /^\[Parsed_ashowinfo_\d+ @ 0x[0-9a-f]+\] \[info\] n:\d+ pts:(-?\d+|NOPTS) .* rate:(\d+) nb_samples:(\d+) /

/**
 * Where in time the decoded frames stand, going by the container: audio that begins later than the film, and holes in
 * it, become silence, so that the time of a sample is its time in the container.
 */
export class FrameTimes {
  /** Samples (of each channel) that were reported so far. */
  known = 0
  /** Silence in front of sample number `at`, in order; the reader takes them away. */
  readonly holes: { at: number; samples: number }[] = []
  private filled = 0
  /** The time of the first sample, in samples, and what was jumped over since. */
  private origin = 0
  private jumped = false
  private ended = false
  private wake = () => {}

  /** `warn` takes a line about times that step back or far ahead. */
  constructor(private readonly warn: (text: string) => void) {}

  /** Takes a line of ffmpeg; returns whether it was about a frame. */
  take(text: string): boolean {
    const [, said, rate, samples] = line.exec(text)?.map(Number) ?? []
    if (said === undefined) return false
    // What starts before 0 counts from its start.
    if (this.known === 0) this.origin = Math.min(0, said || 0)
    // A frame without a time (NOPTS) follows the one before.
    const ahead = Number.isNaN(said) ? 0 : said - this.origin - this.known - this.filled
    if (ahead >= tolerance * rate && ahead <= longest * rate) {
      this.holes.push({ at: this.known, samples: ahead })
      this.filled += ahead
    } else if (Math.abs(ahead) >= tolerance * rate) {
      this.origin += ahead
      if (!this.jumped) this.warnOfJump(ahead / rate, (this.known + this.filled) / rate)
    }
    this.known += samples
    this.wake()
    return true
  }

  /** No more lines will come. */
  end(): void {
    this.ended = true
    this.wake()
  }

  /** Waits until so many samples are reported, or no more will be. */
  async until(samples: number): Promise<void> {
    while (this.known < samples && !this.ended) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  private warnOfJump(seconds: number, at: number) {
    this.jumped = true
    const where = `${Math.abs(seconds).toFixed(3)} s ${seconds < 0 ? 'back' : 'ahead'} at ${at.toFixed(3)} s`
    this.warn(`its times jump ${where}: what follows is taken to come right after`)
  }
}

const silence = new Uint8Array(1 << 16)

/**
 * The same samples, frames of `frameBytes`, with silence in the holes. It is known by then what stands in front of a
 * block.
 */
export async function* inTime(
  blocks: AsyncIterable<Uint8Array>,
  times: FrameTimes,
  frameBytes: number,
): AsyncGenerator<Uint8Array> {
  let start = 0
  for await (const block of blocks) {
    const end = start + block.length
    await times.until(end / frameBytes)
    let from = start
    while (times.holes.length > 0 && times.holes[0].at * frameBytes < end) {
      const { at, samples } = times.holes.shift()!
      const place = at * frameBytes
      if (place > from) yield block.subarray(from - start, place - start)
      from = place
      for (let left = samples * frameBytes; left > 0; left -= silence.length) {
        yield silence.subarray(0, Math.min(left, silence.length))
      }
    }
    yield block.subarray(from - start)
    start = end
  }
}
