import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, UserError } from '../errors.js'
import { discard } from '../runtime/discard.js'
import { readAll, reason, writeAll } from '../runtime/file-bytes.js'
import type { Kept, Store } from './store.js'

/** Float16, float32, float64. */
export type NumberBytes = 2 | 4 | 8
const kinds = { 2: Uint16Array, 4: Float32Array, 8: Float64Array }

/** What the arrays of a block are, for reading them. */
interface Block {
  lengths: number[]
  /** Of a number. */
  bytes: NumberBytes
  /** SHA-256 of the bytes, of a file with a name. */
  digest?: Uint8Array
}

/** Where a block lies in a file. `numbers`: of a block, at the most. */
export const placeOf = (block: number, numbers: number, bytes: NumberBytes) => block * numbers * bytes

/**
 * Blocks in a file. While one block is computed, the one before it is written and the next one read; no more than one of each is held.
 * A temporary file has no name: whatever ends the process, nothing is left behind.
 */
export class FileStore implements Store {
  private readonly blocks: Block[] = []
  /** Calls of the system run one after the other; a failure stays. */
  private tail: Promise<unknown> = Promise.resolve()
  private ahead: { block: number; bytes: Promise<Uint8Array<ArrayBuffer>> } | null = null

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly numbers: number,
    private readonly named = false,
  ) {}

  /** Errors: UserError with exit code 73. */
  static async open(folder: string, numbers: number): Promise<FileStore> {
    try {
      return new FileStore(folder, await openNameless(folder), numbers)
    } catch (error) {
      const text = `${folder}: cannot create a temporary file: ${reason(error)}; --tmp-dir names another folder`
      throw new UserError(text, exitCodes.cannotCreate)
    }
  }

  /** A file that outlives the process, with the blocks that it holds. Errors: UserError with exit code 73. */
  static async openNamed(
    path: string,
    numbers: number,
    blocks: readonly (Block & { at: number })[],
  ): Promise<FileStore> {
    try {
      const store = new FileStore(path, await open(path, blocks.length > 0 ? 'r+' : 'w+', 0o600), numbers, true)
      for (const { at, ...block } of blocks) store.blocks[at] = block
      return store
    } catch (error) {
      throw new UserError(`${path}: cannot open the file: ${reason(error)}`, exitCodes.cannotCreate)
    }
  }

  /** Errors, also of the writing before it: UserError with exit code 74. */
  async write(block: number, arrays: Kept[]): Promise<void> {
    const bytes = arrays[0].BYTES_PER_ELEMENT as NumberBytes
    const written: Block = { lengths: arrays.map(({ length }) => length), bytes }
    this.blocks[block] = written
    await this.tail
    void this.queue(async () => {
      const digest = this.named ? createHash('sha256') : null
      let at = this.position(block)
      for (const { buffer, byteOffset, byteLength } of arrays) {
        const bytes = new Uint8Array(buffer, byteOffset, byteLength)
        digest?.update(bytes)
        await writeAll(this.handle, bytes, at)
        at += byteLength
        discard(buffer as ArrayBuffer)
      }
      written.digest = digest?.digest()
    })
  }

  /** What was written of a file with a name, all of it. Errors: see `write`. */
  async written(block: number): Promise<{ bytes: NumberBytes; digest: Uint8Array }> {
    await this.tail
    const { bytes, digest } = this.blocks[block]
    return { bytes, digest: digest! }
  }

  async read<Taken>(block: number, take: (arrays: Kept[]) => Taken): Promise<Taken> {
    if (this.ahead?.block !== block) this.expect(block)
    const { buffer } = await this.ahead!.bytes
    this.ahead = null
    const { lengths, bytes } = this.blocks[block]
    let at = 0
    const arrays = lengths.map((length) => {
      const array = new kinds[bytes](buffer, at, length)
      at += array.byteLength
      return array
    })
    const taken = take(arrays)
    discard(buffer)
    return taken
  }

  expect(block: number): void {
    const { lengths, bytes: each } = this.blocks[block]
    const size = each * lengths.reduce((sum, length) => sum + length, 0)
    const bytes = this.queue(async () => {
      const read = new Uint8Array(size)
      await readAll(this.handle, read, this.position(block))
      return read
    })
    this.ahead = { block, bytes }
  }

  async close(): Promise<void> {
    await this.tail.catch(() => {})
    await this.handle.close()
  }

  private position(block: number): number {
    return placeOf(block, this.numbers, this.blocks[block].bytes)
  }

  private queue<Result>(step: () => Promise<Result>): Promise<Result> {
    const done = this.tail.then(step).catch((error) => {
      throw error instanceof UserError ? error : this.failed(error)
    })
    this.tail = done
    // Whoever waits for it next sees the failure; until then it must not end the process.
    done.catch(() => {})
    return done
  }

  private failed(error: unknown): UserError {
    const text = this.named
      ? `cannot write or read the file: ${reason(error)}`
      : `cannot write or read the temporary file: ${reason(error)}; --tmp-dir names another folder, a larger --max-memory needs no file`
    return new UserError(`${this.path}: ${text}`, exitCodes.io)
  }
}

/** O_TMPFILE of Linux: a file that never has a name. */
const nameless = constants.O_RDWR | constants.O_DIRECTORY | 0o20000000
/** What says that the system or the file system knows no such file. */
const unknown = ['EOPNOTSUPP', 'ENOTSUP', 'EISDIR', 'EINVAL']

/** Elsewhere a name is taken away at once, but for the moment between two calls. */
async function openNameless(folder: string): Promise<FileHandle> {
  if (process.platform === 'linux') {
    try {
      return await open(folder, nameless, 0o600)
    } catch (error) {
      if (!unknown.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
  const path = join(folder, `longwave-${randomBytes(8).toString('hex')}.spool`)
  const handle = await open(path, 'wx+', 0o600)
  await unlink(path)
  return handle
}
