import { Polyphase } from './polyphase.js'

/**
 * Changes the sampling rate, piece by piece: a polyphase low-pass filter of linear phase without delay. Output `k`
 * stands at the time of input `k * from / to`, `n` samples become `ceil(n * to / from)`, and there is silence in front
 * and behind. Every output is one sum in a fixed order: the result is the same bytes however the input is cut. Flat to
 * 90 % of the lower Nyquist frequency; images and aliases are below -100 dB (`docs/input.md`).
 */
export class Resampler {
  private readonly filter: Polyphase
  /** [held..] The first `held` are the inputs still needed; the first one is number `start` of all. */
  private window: Float64Array
  private held: number
  private start: number
  /** The outputs given last; the next take their place. */
  private outputs = new Float32Array(0)
  /** The next output stands at input `index + phase / phases`. */
  private index = 0
  private phase = 0
  private inputs = 0
  private ended = false

  /** `from`, `to`: samples per second, whole numbers from 1. */
  constructor(from: number, to: number) {
    if (![from, to].every((rate) => Number.isSafeInteger(rate) && rate > 0)) {
      throw new RangeError(`sampling rates ${from} and ${to}, expected whole numbers from 1`)
    }
    this.filter = Polyphase.between(from, to)
    this.start = 1 - this.filter.half
    this.held = this.filter.half - 1
    this.window = new Float64Array(this.held)
  }

  /** The outputs that `samples` completes. */
  push(samples: Float32Array): Float32Array {
    this.inputs += samples.length
    return this.run(samples)
  }

  /** The outputs left at the end of the input. */
  end(): Float32Array {
    this.ended = true
    return this.run(new Float32Array(this.filter.half))
  }

  private run(samples: Float32Array): Float32Array {
    const { phases, step, half } = this.filter
    const window = this.extended(samples)
    const end = this.start + this.held
    // An output is made when all inputs around it are there.
    const limit = Math.min(end - half, this.ended ? this.inputs : Number.POSITIVE_INFINITY)
    const count = Math.max(0, Math.ceil(((limit - this.index) * phases - this.phase) / step))
    if (this.outputs.length < count) this.outputs = new Float32Array(count)
    const first = this.index - half + 1 - this.start
    if (count > 0) this.filter.run(window.subarray(first, this.held), this.phase, count, this.outputs)
    const place = this.phase + count * step
    this.index += Math.floor(place / phases)
    this.phase = place % phases
    const keep = Math.min(end, this.index - half + 1)
    window.copyWithin(0, keep - this.start, this.held)
    this.held = end - keep
    this.start = keep
    return this.outputs.subarray(0, count)
  }

  /** The inputs still needed, and after them these. */
  private extended(samples: Float32Array): Float64Array {
    const held = this.held + samples.length
    if (this.window.length < held) {
      const larger = new Float64Array(held)
      larger.set(this.window.subarray(0, this.held))
      this.window = larger
    }
    this.window.set(samples, this.held)
    this.held = held
    return this.window
  }
}

/**
 * The lowest rate that is brought to another: what is below half of it is no speech. Telephones begin at 8,000; less
 * than this comes from damaged headers, and a second of it could be asked to become a million.
 */
export const lowestRate = 1000

/** Outputs made at once, about: the rates must not decide how much memory a block of input takes. */
const mostOutputs = 1 << 16

/** The same over a stream of pieces, out in bounded ones; equal rates pass through untouched. */
export async function* resample(
  source: AsyncIterable<Float32Array>,
  from: number,
  to: number,
): AsyncGenerator<Float32Array> {
  if (from === to) {
    yield* source
    return
  }
  const resampler = new Resampler(from, to)
  const inputs = Math.ceil((mostOutputs * from) / to)
  for await (const samples of source) {
    for (let at = 0; at < samples.length; at += inputs) {
      const resampled = resampler.push(samples.subarray(at, at + inputs))
      if (resampled.length > 0) yield resampled
    }
  }
  const last = resampler.end()
  if (last.length > 0) yield last
}
