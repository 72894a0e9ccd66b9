import type { FloatArray, Tensor } from '../backends/backend.js'
import type { Segments } from '../backends/segments.js'
import { concatenate } from '../runtime/concatenate.js'
import { discard } from '../runtime/discard.js'
import { BinMeans } from './bins.js'
import { likelihoods } from './likelihood.js'
import type { Network, OnHidden, OnRows } from './network.js'
import { needsWhole, type Output, type Read } from './outputs.js'
import { cutButNeeded, poolRows, withoutAppended } from './pooling.js'

interface Found {
  parts: FloatArray[]
  width: number
  rows: Int32Array
  /** [rows] Where likelihoods are read: those of the rows that come next. */
  targets?: Int32Array
}

/** Sees the rows of a network in reading order. */
export interface Observer {
  /** The hidden states that it reads (`Output.layer`); of others it need not be told. */
  layers: readonly (number | undefined)[]
  /** Rows of the final norm. */
  onRows: OnRows
  /** Absent where no output reads another layer. */
  onHidden?: OnHidden
}

/** What is read of one chunk, or of the pieces of a chunk with one segment. */
export interface Reading extends Observer {
  /** Output i of `rows`. */
  read(i: number, rows: Tensor, segments: Segments): Promise<void>
  /** What was read since the last call. */
  take(): Read[]
}

/** Calls `read` with the rows that output i reads. */
export function observerOf(
  outputs: readonly Output[],
  read: (i: number, rows: Tensor, segments: Segments) => Promise<void>,
): Observer {
  const readLayer = async (layer: number | undefined, rows: Tensor, segments: Segments) => {
    for (const [i, output] of outputs.entries()) if (output.layer === layer) await read(i, rows, segments)
  }
  return {
    layers: outputs.map(({ layer }) => layer),
    onRows: (rows, segments) => readLayer(undefined, rows, segments),
    onHidden: outputs.some(({ layer }) => layer !== undefined) ? readLayer : undefined,
  }
}

/** Of one there is no copy. */
const joined = (parts: FloatArray[]) =>
  parts.length === 1 && parts[0] instanceof Float32Array ? parts[0] : concatenate(parts)

/** Reads outputs off the rows that a network gives, and carries what is pooled from chunk to chunk. */
export class Reader {
  /** [slots, 2 D] of each pooled output, from its first rows on. */
  private carries: (Tensor | null)[]
  /** Of each output that takes the means of bins. */
  private bins: (BinMeans | null)[]

  /** `slots`: sequences that may be under way at once; `appended`: special tokens at the end of each, which are passed over. */
  constructor(
    private readonly network: Network,
    private readonly outputs: readonly Output[],
    private readonly slots: number,
    private readonly appended: number,
  ) {
    this.carries = outputs.map(() => null)
    this.bins = this.closedBins()
  }

  /**
   * For a chunk of `records` segments; `targets`: see `Chunk`. `before`: gives what was carried of the rows before them, read elsewhere
   * (`carried`).
   */
  begin(records: number, targets?: Int32Array, before?: () => Promise<readonly (FloatArray | null)[]>): Reading {
    const nothing = (left: (Int32Array | undefined)[]) =>
      left.map((targets): Found => ({ parts: [], width: 0, rows: new Int32Array(records), targets }))
    let found = nothing(this.outputs.map(() => targets))
    let awaited = before
    const read = async (i: number, rows: Tensor, segments: Segments) => {
      const waitFor = awaited
      awaited = undefined
      if (waitFor) this.carry(await waitFor())
      await this.read(i, rows, segments, found[i])
    }
    return {
      ...observerOf(this.outputs, read),
      read,
      take: () => {
        const taken = found
        found = nothing(taken.map(({ targets }) => targets))
        return taken.map(({ parts, width, rows }) => ({ data: joined(parts), width, rows }))
      },
    }
  }

  /** What is carried of each output, on the host. */
  async carried(): Promise<(FloatArray | null)[]> {
    const numbers: (FloatArray | null)[] = []
    for (const [i, carry] of this.carries.entries())
      numbers.push(this.bins[i]?.open?.slice() ?? (carry && (await this.network.backend.download(carry))))
    return numbers
  }

  /** Goes on with what `carried` gave, of what is read here. */
  carry(numbers: readonly (FloatArray | null)[]): void {
    this.close()
    const { network, outputs, slots } = this
    this.carries = outputs.map(({ layer }, i) => {
      const carry = network.gives(layer) ? numbers[i] : null
      const bins = this.bins[i]
      if (bins) bins.open = carry
      return bins ? null : carry && network.backend.upload(carry, slots, carry.length / slots)
    })
  }

  close(): void {
    this.network.backend.release(...this.carries)
    this.carries = this.carries.map(() => null)
    this.bins = this.closedBins()
  }

  private closedBins = () => this.outputs.map(({ bin }) => (bin === undefined ? null : new BinMeans(bin, this.slots)))

  /** rows [T', D] */
  private async read(i: number, all: Tensor, allSegments: Segments, found: Found): Promise<void> {
    const { backend: b } = this.network
    const { pool, head, likelihood } = this.outputs[i]
    const { hidden, segments } = withoutAppended(b, all, allSegments, this.appended)
    const bins = this.bins[i]
    if (bins) {
      await this.readBins(bins, hidden, segments, found)
      if (hidden !== all) b.release(hidden)
      return
    }
    const rows = pool ? this.pool(i, hidden, segments, pool) : hidden // [ends, D] or [T', D]
    if (likelihood) {
      found.width = 1
      found.parts.push(await likelihoods(this.network, rows, found.targets!, head))
      found.targets = found.targets!.subarray(rows.rows)
    } else if (rows.rows > 0) {
      const values = head ? await this.network.head(rows) : rows
      found.width = values.cols
      found.parts.push(await b.download(values))
      if (values !== rows) b.release(values)
    }
    for (const [s, end] of segments.ends.entries())
      found.rows[s] += pool ? end : segments.offsets[s + 1] - segments.offsets[s]
    b.release(...[rows, hidden].filter((x) => x !== all))
  }

  private async readBins(bins: BinMeans, hidden: Tensor, segments: Segments, found: Found): Promise<void> {
    const { cols } = hidden
    const rows = hidden.rows > 0 ? await this.network.backend.download(hidden) : new Float32Array(0)
    const { means, counts } = bins.push(rows, cols, segments)
    discard(rows.buffer as ArrayBuffer)
    found.width = cols
    if (means.length > 0) found.parts.push(means)
    for (const [s, count] of counts.entries()) found.rows[s] += count
  }

  private pool(i: number, hidden: Tensor, segments: Segments, pool: NonNullable<Output['pool']>): Tensor {
    const { backend } = this.network
    const cut = segments.slot.some((slot) => slot >= 0)
    if (cut && needsWhole({ pool })) throw cutButNeeded(pool)
    if (cut) this.carries[i] ??= backend.zeros(this.slots, 2 * hidden.cols)
    return poolRows(backend, hidden, segments, pool, this.carries[i])
  }
}
