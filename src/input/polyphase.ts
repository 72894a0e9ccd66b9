import { openKernel } from './kernel.js'

/** Zero crossings of the sinc on either side. More make the edge at the Nyquist frequency steeper. */
const crossings = 64
/** Kaiser window for 110 dB in the stop band (Kaiser 1974). */
const attenuation = 110
const beta = 0.1102 * (attenuation - 8.7)
/** Width of the pass band relative to the lower of both Nyquist frequencies, such that the stop band starts there. */
const passBand = 1 / (1 + (attenuation - 7.95) / (14.36 * 2 * crossings))
/** Weights kept at most; beyond (rates with no common factor) they are computed as they are needed. */
const maxWeights = 1 << 21

const filters = new Map<string, Polyphase>()
/** A memory takes gigabytes of address space, and a folder of odd files may have as many rates. */
const mostFilters = 8

/**
 * A polyphase low-pass filter of linear phase between two rates: Kaiser's window over a sinc, and the kernel that sums, in memory of its own.
 * One for each pair of rates serves all recordings of it.
 */
export class Polyphase {
  /** Outputs stand `step / phases` inputs apart. */
  readonly phases: number
  readonly step: number
  /** Inputs on either side of an output that count; an even number. */
  readonly half: number
  /** Low-pass edge in cycles per input sample, times 2. */
  private readonly cutoff: number
  private readonly kernel = openKernel()
  /** Rows of the table at the start of the memory that hold the weights of their phase; null where there are too many for a table. */
  private readonly known: Uint8Array | null
  private unknown: number

  private constructor(from: number, to: number) {
    const divisor = greatestCommonDivisor(from, to)
    this.phases = to / divisor
    this.step = from / divisor
    this.cutoff = passBand * Math.min(1, to / from)
    this.half = 2 * Math.ceil(crossings / this.cutoff / 2)
    this.known = this.phases * 2 * this.half <= maxWeights ? new Uint8Array(this.phases) : null
    this.unknown = this.phases
  }

  static between(from: number, to: number): Polyphase {
    const key = `${from} ${to}`
    let filter = filters.get(key)
    if (!filter) {
      if (filters.size === mostFilters) filters.clear()
      filter = new Polyphase(from, to)
      filters.set(key, filter)
    }
    return filter
  }

  /** out [count]: the first from the inputs `window[0 .. 2 half)` at `phase / phases` after number half - 1 of them. */
  run(window: Float64Array, phase: number, count: number, out: Float32Array): void {
    const { kernel, phases, step, half, known } = this
    const taps = 2 * half
    const windowAt = 8 * taps * (known ? phases : 1)
    const outAt = windowAt + 8 * window.length
    kernel.reserve(outAt + 4 * count)
    kernel.float64(windowAt, window.length).set(window)
    if (known) {
      this.fill(known, phase, count)
      const [whole, part] = [Math.floor(step / phases), step % phases]
      kernel.polyphase(count, outAt, 0, taps, windowAt, phase, phases, whole, part)
    } else {
      for (let k = 0; k < count; k++) {
        const place = phase + k * step
        this.weigh(place % phases, kernel.float64(0, taps))
        kernel.polyphase(1, outAt + 4 * k, 0, taps, windowAt + 8 * Math.floor(place / phases), 0, 1, 0, 0)
      }
    }
    out.set(kernel.float32(outAt, count))
  }

  /** Weighs the phases of the next outputs, where that was not done before. */
  private fill(known: Uint8Array, first: number, count: number): void {
    const taps = 2 * this.half
    for (let k = 0; k < count && this.unknown > 0; k++) {
      const phase = (first + k * this.step) % this.phases
      if (known[phase]) continue
      this.weigh(phase, this.kernel.float64(8 * taps * phase, taps))
      known[phase] = 1
      this.unknown--
    }
  }

  /** weights [2 half] of the inputs around an output, `phase / phases` after input `half - 1` of them; their sum is 1. */
  private weigh(phase: number, weights: Float64Array): void {
    let total = 0
    for (let i = 0; i < weights.length; i++) {
      const distance = (i - this.half + 1 - phase / this.phases) * this.cutoff
      weights[i] = sinc(distance) * kaiser(distance / crossings)
      total += weights[i]
    }
    for (let i = 0; i < weights.length; i++) weights[i] /= total
  }
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
