import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import type { Snapshot } from '../../engine/session.js'
import { readAll, writeAll } from '../../runtime/file-bytes.js'
import { readSealed, writeSealed } from '../../runtime/sealed-file.js'
import type { Said } from './answers.js'

/** Where a run stands in a long sequence. */
interface Standing {
  /** Tokens, and the SHA-256 of the input up to there. */
  position: number
  input: string
  /** There are no more. */
  ended: boolean
  /** Absent where none is needed to go on. */
  snapshot?: Snapshot
  /** Bytes of the file of answers up to there, and their SHA-256. */
  bytes: number
  answers: string
}

/** Bytes before an answer: its width and its numbers. */
const entryBytes = 8
const blockBytes = 2 ** 20

/**
 * A sequence that is answered in several parts, on the disk: its answers so far, and the state from which it goes on. The state is
 * replaced as a whole, after the answers before it were written, so that a run that is killed finds the last one that is complete.
 */
export class LongSequence {
  private handle: FileHandle | null = null
  private closed = false
  /** Bytes of answers that were read or written. */
  private at = 0
  private readonly answers: Hash = createHash('sha256')

  private constructor(
    private readonly path: string,
    /** Where an earlier run stood. */
    readonly standing: Standing | null,
  ) {}

  /** `path`: of its files, without their suffixes. */
  static async open(path: string): Promise<LongSequence> {
    const standing = (await readSealed(`${path}.state`)) as Standing | null
    return new LongSequence(path, standing && (await isWhole(`${path}.rows`, standing)) ? standing : null)
  }

  /** The next answer that an earlier run was given, of those before `standing`; null: there are no more. */
  async next(): Promise<Said | null> {
    if (this.at >= (this.standing?.bytes ?? 0)) return null
    const handle = await this.opened()
    const head = Buffer.alloc(entryBytes)
    await readAll(handle, head, this.at)
    const data = new Float32Array(head.readUInt32LE(4))
    const bytes = new Uint8Array(data.buffer)
    await readAll(handle, bytes, this.at + entryBytes)
    this.answers.update(head).update(bytes)
    this.at += entryBytes + bytes.length
    return { data, width: head.readUInt32LE() }
  }

  /** Errors of the system. */
  async add({ data, width }: Said): Promise<void> {
    const handle = await this.opened()
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    const head = Buffer.alloc(entryBytes)
    head.writeUInt32LE(width)
    head.writeUInt32LE(data.length, 4)
    await writeAll(handle, head, this.at)
    await writeAll(handle, bytes, this.at + entryBytes)
    this.answers.update(head).update(bytes)
    this.at += entryBytes + bytes.length
  }

  /** Errors of the system. */
  async save(place: Pick<Standing, 'position' | 'input' | 'ended' | 'snapshot'>): Promise<void> {
    const standing: Standing = { ...place, bytes: this.at, answers: this.answers.copy().digest('hex') }
    await writeSealed(`${this.path}.state`, `${this.path}.new`, standing)
  }

  async close(): Promise<void> {
    this.closed = true
    await this.handle?.close()
    this.handle = null
  }

  private async opened(): Promise<FileHandle> {
    if (this.closed) throw new Error(`${this.path}: used after it was closed`)
    this.handle ??= await open(`${this.path}.rows`, this.standing ? 'r+' : 'w+')
    return this.handle
  }
}

/** Whether the file of answers holds those that were given before the state was saved. */
async function isWhole(path: string, { bytes, answers }: Standing): Promise<boolean> {
  if (bytes === 0) return true
  const handle = await open(path).catch(() => null)
  if (!handle) return false
  const hash = createHash('sha256')
  try {
    const block = new Uint8Array(Math.min(bytes, blockBytes))
    for (let at = 0; at < bytes; at += block.length) {
      const some = block.subarray(0, Math.min(block.length, bytes - at))
      await readAll(handle, some, at)
      hash.update(some)
    }
  } catch {
    return false // it is shorter
  } finally {
    await handle.close()
  }
  return hash.digest('hex') === answers
}
