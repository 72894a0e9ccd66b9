import type { Backend, FloatArray, Tensor } from '../backends/backend.js'
import { discard } from '../runtime/discard.js'
import { fromFloat16, toFloat16 } from '../runtime/float16.js'
import { FileStore, type NumberBytes } from './file-store.js'
import { type Kept, RamStore, type Store } from './store.js'

/**
 * Where tensors wait between the layers of a sweep, some of them in each block. Blocks have numbers, and what was put last is what is got,
 * so that a sweep is known by the blocks that it has put.
 */
export interface Spool {
  /** Keeps the numbers of the tensors in place of those that the block had; the tensors stay the caller's. */
  put(block: number, ...tensors: Tensor[]): Promise<void>
  /** New tensors with the numbers. */
  get(block: number): Promise<Tensor[]>
  /** This block will be asked for next: where it has to be fetched, that begins now. */
  expect(block: number): void
  close(): Promise<void>
}

/** Where a spool may lie. */
export interface SpoolPlace {
  /** In the memory of the device. */
  onDevice?: boolean
  /** Otherwise the folder of a temporary file; absent: the memory of the process. */
  folder?: string
  /** The residual stream is kept as float16: what is read back of it is rounded. */
  half?: boolean
  /** Files of this name, with suffixes, are kept for another run, or go on from an earlier one (`KeptSweep`); of one sequence, or half of one. */
  kept?: string
}

/** `numbers`: in a block, at the most; `half`: they are kept as float16, on the host. Errors: UserError with exit code 73 for a folder that takes no file. */
export async function openSpool(
  backend: Backend,
  { numbers, half = false }: { numbers: number; half?: boolean },
  { onDevice = false, folder }: SpoolPlace,
): Promise<Spool> {
  if (onDevice && !half) return new DeviceSpool(backend)
  return new HostSpool(backend, folder === undefined ? new RamStore() : await FileStore.open(folder, numbers), half)
}

/** In the memory of the device: nothing has to be waited for. */
class DeviceSpool implements Spool {
  private readonly kept = new Map<number, Tensor[]>()

  constructor(private readonly backend: Backend) {}

  async put(block: number, ...tensors: Tensor[]): Promise<void> {
    this.backend.release(...(this.kept.get(block) ?? []))
    this.kept.set(block, this.copies(tensors))
  }

  async get(block: number): Promise<Tensor[]> {
    return this.copies(this.kept.get(block)!)
  }

  expect(): void {}

  async close(): Promise<void> {
    for (const tensors of this.kept.values()) this.backend.release(...tensors)
    this.kept.clear()
  }

  private copies = (tensors: Tensor[]) => tensors.map((x) => this.backend.activate(x, 'none'))
}

/** As float16; what they were is freed. */
function rounded(numbers: FloatArray): Uint16Array {
  const halves = toFloat16(numbers instanceof Float32Array ? numbers : Float32Array.from(numbers))
  discard(numbers.buffer as ArrayBuffer)
  return halves
}

const numbersOf = (kept: Kept): FloatArray => (kept instanceof Uint16Array ? fromFloat16(kept) : kept)

interface Shape {
  rows: number
  cols: number
}

class HostSpool<Kind extends Store = Store> implements Spool {
  protected readonly shapes: Shape[][] = []

  constructor(
    private readonly backend: Backend,
    protected readonly store: Kind,
    private readonly half: boolean,
  ) {}

  async put(block: number, ...tensors: Tensor[]): Promise<void> {
    this.shapes[block] = tensors.map(({ rows, cols }) => ({ rows, cols }))
    const arrays: Kept[] = []
    for (const x of tensors) {
      const numbers = await this.backend.download(x)
      arrays.push(this.half ? rounded(numbers) : numbers)
    }
    await this.store.write(block, arrays)
  }

  get(block: number): Promise<Tensor[]> {
    const shapes = this.shapes[block]
    return this.store.read(block, (arrays) =>
      shapes.map(({ rows, cols }, i) => this.backend.upload(numbersOf(arrays[i]), rows, cols)),
    )
  }

  expect(block: number): void {
    this.store.expect(block)
  }

  close(): Promise<void> {
    return this.store.close()
  }
}

/** A block of a file that outlives the process. */
export interface SavedBlock {
  at: number
  shapes: Shape[]
  /** Of a number. */
  bytes: NumberBytes
  /** SHA-256 */
  digest: Uint8Array
}

const numbersIn = ({ rows, cols }: Shape) => rows * cols

export const bytesOf = ({ shapes, bytes }: SavedBlock) =>
  bytes * shapes.reduce((sum, shape) => sum + numbersIn(shape), 0)

/** In such a file. */
export class KeptSpool extends HostSpool<FileStore> {
  /** Errors: UserError with exit code 73. */
  static async open(
    backend: Backend,
    path: string,
    numbers: number,
    half: boolean,
    blocks: readonly SavedBlock[],
  ): Promise<KeptSpool> {
    const known = blocks.map(({ shapes, ...block }) => ({ ...block, lengths: shapes.map(numbersIn) }))
    const spool = new KeptSpool(backend, await FileStore.openNamed(path, numbers, known), half)
    for (const { at, shapes } of blocks) spool.shapes[at] = shapes
    return spool
  }

  /** Blocks from .. to - 1, when they are written. Errors: UserError with exit code 74. */
  async saved(from: number, to: number): Promise<SavedBlock[]> {
    const blocks: SavedBlock[] = []
    for (let at = from; at < to; at++) blocks.push({ at, shapes: this.shapes[at], ...(await this.store.written(at)) })
    return blocks
  }
}
