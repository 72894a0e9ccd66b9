import type { FloatArray } from '../backends/backend.js'
import { discard } from '../runtime/discard.js'

/** Numbers as they are kept: as the backend gives them, or as float16. */
export type Kept = FloatArray | Uint16Array

/** Numbers of blocks on the host. */
export interface Store {
  /** Keeps the numbers in place of those that the block had; the arrays are the store's from here on. */
  write(block: number, arrays: Kept[]): Promise<void>
  /** Gives them to `take`, which must not keep them. */
  read<Taken>(block: number, take: (arrays: Kept[]) => Taken): Promise<Taken>
  expect(block: number): void
  close(): Promise<void>
}

/** In the memory of the process. What is replaced is freed at once: as garbage it would pile up to twice the spool. */
export class RamStore implements Store {
  private readonly kept = new Map<number, Kept[]>()

  async write(block: number, arrays: Kept[]): Promise<void> {
    this.free(block)
    this.kept.set(block, arrays)
  }

  async read<Taken>(block: number, take: (arrays: Kept[]) => Taken): Promise<Taken> {
    return take(this.kept.get(block)!)
  }

  expect(): void {}

  async close(): Promise<void> {
    for (const block of this.kept.keys()) this.free(block)
    this.kept.clear()
  }

  private free(block: number): void {
    for (const { buffer } of this.kept.get(block) ?? []) discard(buffer as ArrayBuffer)
  }
}
