import { openKernel } from './kernel.js'

/** Zero crossings of the sinc on either side. More make the edge at the Nyquist frequency steeper. */
const crossings = 64
/** Kaiser window for 110 dB in the stop band (Kaiser 1974). */
const attenuation = 110
const beta = 0.1102 * (attenuation - 8.7)
/** Width of the pass band relative to the lower of both Nyquist frequencies, such that the stop band starts there. */
const passBand = 1 / (1 + (attenuation - 7.95) / (14.36 * 2 * crossings))
/** Weights kept at most; beyond (rates with no common factor) phases are taken between the rows of a table. */
const maxWeights = 1 << 21
/**
 * Rows of that table from one zero crossing of the sinc to the next: what a straight line between them misses stays
 * below -120 dB.
 */
const rowsPerCrossing = 2048

const filters = new Map<string, Polyphase>()
/** A memory takes gigabytes of address space, and a folder of odd files may have as many rates. */
const mostFilters = 8

/**
 * A polyphase low-pass filter of linear phase between two rates: Kaiser's window over a sinc, and the kernel that sums,
 * in memory of its own. One for each pair of rates serves all recordings of it.
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
  /** Rows of the table at the start of the memory that hold their weights. */
  private readonly known: Uint8Array
  private unknown: number
  /** Rows from one input to the next, where that are fewer than there are phases. */
  private readonly rows: number | undefined

  private constructor(from: number, to: number) {
    const divisor = greatestCommonDivisor(from, to)
    this.phases = to / divisor
    this.step = from / divisor
    this.cutoff = passBand * Math.min(1, to / from)
    this.half = 2 * Math.ceil(crossings / this.cutoff / 2)
    if (this.phases * 2 * this.half > maxWeights) this.rows = Math.ceil(rowsPerCrossing * this.cutoff)
    this.known = new Uint8Array(this.rows === undefined ? this.phases : this.rows + 1)
    this.unknown = this.known.length
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
    const { kernel, phases, step, half, rows } = this
    const taps = 2 * half
    const windowAt = 8 * taps * this.known.length
    const outAt = windowAt + 8 * window.length
    kernel.reserve(outAt + 4 * count)
    kernel.float64(windowAt, window.length).set(window)
    this.fill(phase, count)
    const args = {
      count,
      out: outAt,
      weights: 0,
      taps,
      window: windowAt,
      phase,
      phases,
      whole: Math.floor(step / phases),
      part: step % phases,
      rows: rows ?? phases,
    }
    if (rows === undefined) kernel.polyphase(args)
    else kernel.between(args)
    out.set(kernel.float32(outAt, count))
  }

  /** Weighs the rows of the next outputs, where that was not done before. */
  private fill(first: number, count: number): void {
    const { phases, rows } = this
    for (let k = 0; k < count && this.unknown > 0; k++) {
      const phase = (first + k * this.step) % phases
      if (rows === undefined) this.fillRow(phase, phase / phases)
      else {
        const row = Math.floor((phase * rows) / phases)
        this.fillRow(row, row / rows)
        this.fillRow(row + 1, (row + 1) / rows)
      }
    }
  }

  private fillRow(row: number, place: number): void {
    if (this.known[row]) return
    const taps = 2 * this.half
    this.weigh(place, this.kernel.float64(8 * taps * row, taps))
    this.known[row] = 1
    this.unknown--
  }

  /**
   * weights [2 half] of the inputs around an output, `place` (0 to 1) after input `half - 1` of them; their sum is 1.
   */
  private weigh(place: number, weights: Float64Array): void {
    let total = 0
    for (let i = 0; i < weights.length; i++) {
      const distance = (i - this.half + 1 - place) * this.cutoff
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
