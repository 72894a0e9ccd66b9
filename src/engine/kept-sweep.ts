import { createHash } from 'node:crypto'
import { access, open, rm } from 'node:fs/promises'
import type { Backend, FloatArray } from '../backends/backend.js'
import { exitCodes, UserError } from '../errors.js'
import { readAll, reason } from '../runtime/file-bytes.js'
import { readSealed, writeSealed } from '../runtime/sealed-file.js'
import { placeOf } from './file-store.js'
import type { Neighbours } from './neighbour.js'
import { bytesOf, KeptSpool, type SavedBlock } from './spool.js'

/** What was told to the other half, and at which step. */
export interface Sent {
  step: number
  numbers: FloatArray[]
}

/** Where a sweep stands. */
interface Standing {
  /** Passes that are done. */
  done: number
  /** There are no more; its rows are in a spool. */
  over: boolean
  /** What they left for those that follow: blocks of some spools. */
  spools: { name: string; numbers: number; blocks: SavedBlock[] }[]
  /** What the other half may still have to be told. */
  sent: Sent[]
}

/**
 * A sweep on the disk: its spools, in files with names, and where it stands. That is replaced as a whole when a pass is over, and no pass
 * overwrites what it reads: a sweep that was ended anywhere goes on behind the last pass.
 */
export class KeptSweep {
  private readonly spools = new Map<string, { numbers: number; spool: KeptSpool }>()

  private constructor(
    private readonly path: string,
    private readonly standing: Standing,
  ) {}

  /** `path`: of its files, without their suffixes. What is there is trusted (`checkedSweep`). */
  static async open(path: string): Promise<KeptSweep> {
    const saved = (await readSealed(`${path}.sweep`)) as Standing | null
    return new KeptSweep(path, saved ?? { done: 0, over: false, spools: [], sent: [] })
  }

  get done(): number {
    return this.standing.done
  }

  get over(): boolean {
    return this.standing.over
  }

  get sent(): readonly Sent[] {
    return this.standing.sent
  }

  /** With the blocks that it had when the last pass was over. `half`: float16. */
  async spool(backend: Backend, name: string, numbers: number, half = false): Promise<KeptSpool> {
    const saved = this.standing.spools.find((each) => each.name === name)
    const spool = await KeptSpool.open(backend, `${this.path}.${name}`, numbers, half, saved?.blocks ?? [])
    this.spools.set(name, { numbers, spool })
    return spool
  }

  /** Before it is told. */
  tells(sent: Sent): void {
    this.standing.sent.push(sent)
  }

  /** The other half has reached this step: what it was told before it knows. */
  heard(step: number): void {
    this.standing.sent = this.standing.sent.filter((each) => each.step >= step)
  }

  /** `blocks`: those that the passes to follow read, of each spool from .. to - 1. Errors: UserError with exit code 74. */
  async save(done: number, blocks: Record<string, Range>): Promise<void> {
    this.standing.done = done
    await this.write(blocks)
  }

  /** The rows that were wanted are in blocks of the spool `rows`. Errors: as above. */
  async finish(rows: Range): Promise<void> {
    this.standing.over = true
    await this.write({ rows })
    for (const name of ['stream', 'borders']) await rm(`${this.path}.${name}`, { force: true })
  }

  private async write(blocks: Record<string, Range>): Promise<void> {
    const spools: Standing['spools'] = []
    for (const [name, [from, to]] of Object.entries(blocks)) {
      const { numbers, spool } = this.spools.get(name)!
      spools.push({ name, numbers, blocks: await spool.saved(from, to) })
    }
    this.standing.spools = spools
    try {
      await writeSealed(`${this.path}.sweep`, `${this.path}.new`, this.standing)
    } catch (error) {
      throw new UserError(`${this.path}: cannot write the file: ${reason(error)}`, exitCodes.io)
    }
  }
}

type Range = [from: number, to: number]

/** What the other half may not have been told before the run was ended. */
export function tellAgain({ sent }: KeptSweep, { left, right }: Neighbours = {}): void {
  for (const { step, numbers } of sent) (left ?? right)?.send(step, numbers)
}

/** The passes of a sweep on the disk that are done, 0 if there is none; null: something of what they left is damaged. */
export async function checkedSweep(path: string): Promise<number | null> {
  const standing = (await readSealed(`${path}.sweep`)) as Standing | null
  if (!standing) return (await exists(`${path}.sweep`)) ? null : 0
  for (const { name, numbers, blocks } of standing.spools)
    if (!(await areWhole(`${path}.${name}`, numbers, blocks))) return null
  return standing.done
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

async function areWhole(path: string, numbers: number, blocks: readonly SavedBlock[]): Promise<boolean> {
  const handle = await open(path).catch(() => null)
  if (!handle) return false
  try {
    for (const block of blocks) {
      const bytes = new Uint8Array(bytesOf(block))
      await readAll(handle, bytes, placeOf(block.at, numbers, block.bytes))
      if (!createHash('sha256').update(bytes).digest().equals(block.digest)) return false
    }
    return true
  } catch {
    return false // it is shorter
  } finally {
    await handle.close()
  }
}
