/** Zero crossings of the sinc on either side. More make the edge at the Nyquist frequency steeper. */
const crossings = 64
/** Kaiser window for 110 dB in the stop band (Kaiser 1974). */
const attenuation = 110
const beta = 0.1102 * (attenuation - 8.7)
/** Width of the pass band relative to the lower of both Nyquist frequencies, such that the stop band starts there. */
const passBand = 1 / (1 + (attenuation - 7.95) / (14.36 * 2 * crossings))
/** Weights kept at most; beyond (rates with no common factor) they are computed as they are needed. */
const maxWeights = 1 << 21

/**
 * Changes the sampling rate, piece by piece: a polyphase low-pass filter of linear phase without delay. Output `k` stands
 * at the time of input `k * from / to`, `n` samples become `ceil(n * to / from)`, and there is silence in front and behind.
 * Every output is one sum in a fixed order: the result is the same bytes however the input is cut.
 * Flat to 90 % of the lower Nyquist frequency; images and aliases are below -100 dB (`docs/input.md`).
 */
export class Resampler {
  /** Outputs stand `step / phases` inputs apart. */
  private readonly phases: number
  private readonly step: number
  /** Inputs on either side of an output that count; an even number. */
  private readonly half: number
  /** Low-pass edge in cycles per input sample, times 2. */
  private readonly cutoff: number
  private readonly weights: Float64Array[] = []
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
    const divisor = greatestCommonDivisor(from, to)
    this.phases = to / divisor
    this.step = from / divisor
    this.cutoff = passBand * Math.min(1, to / from)
    this.half = 2 * Math.ceil(crossings / this.cutoff / 2)
    this.start = 1 - this.half
    this.held = this.half - 1
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
    return this.run(new Float32Array(this.half))
  }

  private run(samples: Float32Array): Float32Array {
    const window = this.extended(samples)
    const end = this.start + this.held
    const most = Math.ceil((this.held * this.phases) / this.step)
    if (this.outputs.length < most) this.outputs = new Float32Array(most)
    let made = 0
    while (this.index + this.half < end && !(this.ended && this.index >= this.inputs)) {
      this.outputs[made++] = this.sum(window, this.index - this.half + 1 - this.start)
      this.phase += this.step
      this.index += Math.floor(this.phase / this.phases)
      this.phase %= this.phases
    }
    const keep = Math.min(end, this.index - this.half + 1)
    window.copyWithin(0, keep - this.start, this.held)
    this.held = end - keep
    this.start = keep
    return this.outputs.subarray(0, made)
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

  /** The output at the current phase from `window[at .. at + 2 half)`. */
  private sum(window: Float64Array, at: number): number {
    const weights = this.weights[this.phase] ?? this.weigh(this.phase)
    // Four sums at once: about twice as fast as one that waits for itself.
    let [a, b, c, d] = [0, 0, 0, 0]
    for (let i = 0; i < weights.length; i += 4) {
      a += weights[i] * window[at + i]
      b += weights[i + 1] * window[at + i + 1]
      c += weights[i + 2] * window[at + i + 2]
      d += weights[i + 3] * window[at + i + 3]
    }
    return a + b + (c + d)
  }

  /** [2 half] weights of the inputs around an output, `phase / phases` after input `half - 1` of them; their sum is 1. */
  private weigh(phase: number): Float64Array {
    const weights = new Float64Array(2 * this.half)
    let total = 0
    for (let i = 0; i < weights.length; i++) {
      const distance = (i - this.half + 1 - phase / this.phases) * this.cutoff
      weights[i] = sinc(distance) * kaiser(distance / crossings)
      total += weights[i]
    }
    for (let i = 0; i < weights.length; i++) weights[i] /= total
    if (this.phases * weights.length <= maxWeights) this.weights[phase] = weights
    return weights
  }
}

/** The same over a stream of pieces; equal rates pass through untouched. */
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
  for await (const samples of source) {
    const resampled = resampler.push(samples)
    if (resampled.length > 0) yield resampled
  }
  const last = resampler.end()
  if (last.length > 0) yield last
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))

/** Kaiser window over [-1, 1], not normalised. */
const kaiser = (x: number) => (Math.abs(x) >= 1 ? 0 : bessel(beta * Math.sqrt(1 - x * x)))

/** Modified Bessel function of the first kind, order 0, by its series. */
function bessel(x: number): number {
  let sum = 1
  let term = 1
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
