import type { Backend, FloatArray, Tensor } from '../backends/backend.js'
import { FileStore } from './file-store.js'
import { RamStore, type Store } from './store.js'

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
  /** Bytes of the largest spool that stays on the device; default: none. */
  streamBytes?: number
  /** The folder of a temporary file for a larger one; absent: the memory of the process. */
  folder?: string
  /** Files of this name, with suffixes, are kept for another run, or go on from an earlier one (`KeptSweep`); of one sequence, or half of one. */
  kept?: string
}

/** `numbers`: in a block, at the most. Errors: UserError with exit code 73 for a folder that takes no file. */
export async function openSpool(
  backend: Backend,
  { blocks, numbers }: { blocks: number; numbers: number },
  { streamBytes = 0, folder }: SpoolPlace,
): Promise<Spool> {
  if (4 * blocks * numbers <= streamBytes) return new DeviceSpool(backend)
  return new HostSpool(backend, folder === undefined ? new RamStore() : await FileStore.open(folder, numbers))
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

interface Shape {
  rows: number
  cols: number
}

class HostSpool<Kind extends Store = Store> implements Spool {
  protected readonly shapes: Shape[][] = []

  constructor(
    private readonly backend: Backend,
    protected readonly store: Kind,
  ) {}

  async put(block: number, ...tensors: Tensor[]): Promise<void> {
    this.shapes[block] = tensors.map(({ rows, cols }) => ({ rows, cols }))
    const arrays: FloatArray[] = []
    for (const x of tensors) arrays.push(await this.backend.download(x))
    await this.store.write(block, arrays)
  }

  get(block: number): Promise<Tensor[]> {
    const shapes = this.shapes[block]
    return this.store.read(block, (arrays) =>
      shapes.map(({ rows, cols }, i) => this.backend.upload(arrays[i], rows, cols)),
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
  /** Of 64 bits. */
  wide: boolean
  /** SHA-256 */
  digest: Uint8Array
}

const numbersIn = ({ rows, cols }: Shape) => rows * cols

export const bytesOf = ({ shapes, wide }: SavedBlock) =>
  shapes.reduce((sum, shape) => sum + numbersIn(shape), 0) * (wide ? 8 : 4)

/** In such a file. */
export class KeptSpool extends HostSpool<FileStore> {
  /** Errors: UserError with exit code 73. */
  static async open(
    backend: Backend,
    path: string,
    numbers: number,
    blocks: readonly SavedBlock[],
  ): Promise<KeptSpool> {
    const known = blocks.map(({ shapes, ...block }) => ({ ...block, lengths: shapes.map(numbersIn) }))
    const spool = new KeptSpool(backend, await FileStore.openNamed(path, numbers, known))
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
