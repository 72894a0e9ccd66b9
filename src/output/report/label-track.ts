/** A part of a record that was called something. */
export interface Piece {
  record: { readonly id: string }
  /** Half-open, in bases or seconds of the record. */
  start: number
  end: number
}

/** Numbers that a record may hold: bins times labels. */
const mostNumbers = 2 ** 17
/** Records that are kept to be drawn. */
const mostRecords = 24

/**
 * What pieces of records were called, in memory that depends neither on their number nor on the length of a record: a
 * record is a row of bins, and where it outgrows them, two neighbours become one. The longest records are kept.
 */
export class LabelTrack {
  private readonly kept: BinnedRecord[] = []
  private open: { record: Piece['record']; bins: BinnedRecord } | null = null
  private order = 0
  /** Of the records that are not kept. */
  readonly further = { records: 0, length: 0 }

  constructor(
    /** Classes. */
    private readonly labels: number,
    /** Width of the first bins: a divisor of the windows and of their distance draws every window as it is. */
    private readonly step: number,
  ) {}

  /** Pieces come record by record, from left to right. */
  add(label: number, score: number, { record, start, end }: Piece): void {
    if (this.open?.record !== record) {
      this.close()
      this.open = { record, bins: new BinnedRecord(record.id, this.order++, this.labels, this.step, start) }
    }
    this.open.bins.add(label, score, start, end)
  }

  /** The longest records, in the order of the input, in at most so many bins together (or 64 each). */
  records(bins: number): BinnedRecord[] {
    this.close()
    const each = Math.max(64, Math.floor(bins / this.kept.length))
    for (const record of this.kept) while (record.bins > each) record.halve()
    return [...this.kept].sort((a, b) => a.order - b.order)
  }

  private close(): void {
    if (this.open === null) return
    this.kept.push(this.open.bins)
    this.open = null
    if (this.kept.length <= mostRecords) return
    this.kept.sort((a, b) => b.length - a.length || a.order - b.order)
    const { length } = this.kept.pop()!
    this.further.records++
    this.further.length += length
  }
}

const fewestBins = 16
const mostBins = 1024

/** A record as bins of one width; the last one may be shorter. */
export class BinnedRecord {
  end: number
  private capacity = fewestBins
  /** [capacity, labels] how much of the pieces in a bin was called so. */
  private amounts: Float64Array
  /** [capacity] their sums, and scores weighted by them. */
  private totals: Float64Array = new Float64Array(fewestBins)
  private scores: Float64Array = new Float64Array(fewestBins)

  constructor(
    readonly id: string,
    readonly order: number,
    private readonly labels: number,
    public width: number,
    readonly start: number,
  ) {
    this.end = start
    this.amounts = new Float64Array(fewestBins * labels)
  }

  get length(): number {
    return this.end - this.start
  }

  /** Bins that hold something, up to the end of the record. */
  get bins(): number {
    return Math.ceil(this.length / this.width - 1e-6)
  }

  add(label: number, score: number, start: number, end: number): void {
    while (end - this.start > this.capacity * this.width) {
      if (this.capacity < mostBins && 2 * this.capacity * this.labels <= mostNumbers) this.grow()
      else this.halve()
    }
    this.end = Math.max(this.end, end)
    const [first, last] = [(start - this.start) / this.width, (end - this.start) / this.width]
    for (let bin = Math.floor(first); bin < last && bin < this.capacity; bin++) {
      const amount = (Math.min(last, bin + 1) - Math.max(first, bin)) * this.width
      this.amounts[bin * this.labels + label] += amount
      this.totals[bin] += amount
      this.scores[bin] += amount * score
    }
  }

  /** The share of a label among the pieces in a bin; 0 where there are none. */
  share(bin: number, label: number): number {
    return this.totals[bin] > 0 ? this.amounts[bin * this.labels + label] / this.totals[bin] : 0
  }

  /** Their mean score; 0 where there are none. */
  score(bin: number): number {
    return this.totals[bin] > 0 ? this.scores[bin] / this.totals[bin] : 0
  }

  /** The share of a label among the pieces of the whole record. */
  shareOfAll(label: number): number {
    let [own, all] = [0, 0]
    for (let bin = 0; bin < this.bins; bin++) {
      own += this.amounts[bin * this.labels + label]
      all += this.totals[bin]
    }
    return all > 0 ? own / all : 0
  }

  private grow(): void {
    this.capacity *= 2
    this.amounts = doubled(this.amounts)
    this.totals = doubled(this.totals)
    this.scores = doubled(this.scores)
  }

  /** Two bins become one. */
  halve(): void {
    this.width *= 2
    merge(this.amounts, this.labels)
    merge(this.totals, 1)
    merge(this.scores, 1)
  }
}

function doubled(values: Float64Array): Float64Array {
  const larger = new Float64Array(2 * values.length)
  larger.set(values)
  return larger
}

/** Rows 2 i and 2 i + 1 are added up in row i. */
function merge(rows: Float64Array, width: number): void {
  const half = rows.length / width / 2
  for (let i = 0; i < half; i++)
    for (let k = 0; k < width; k++) rows[i * width + k] = rows[2 * i * width + k] + rows[(2 * i + 1) * width + k]
  rows.fill(0, half * width)
}
