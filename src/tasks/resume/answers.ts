import { createHash } from 'node:crypto'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { addTo } from '../../runtime/digest.js'
import { readAll, writeAll } from '../../runtime/file-bytes.js'

/** What a model said of a sequence: [rows, width]. */
export interface Said {
  data: Float32Array
  width: number
}

/** Bytes that a block of answers gathers before it is written, and the milliseconds that one waits at most. */
const blockBytes = 256 * 1024
const longestWait = 250

/**
 * Bytes of earlier answers that are held: a run asks in nearly the order in which the one before it was told, recordings on several
 * threads a little out of it. Half of them may lie ahead of the last answer that was asked for.
 */
const windowBytes = 16 * 2 ** 20

/** Bytes that `Answers` takes at the most, but for larger single answers. */
export const answersBytes = windowBytes + 2 * blockBytes

/** Bytes before a block: its length, then the start of its SHA-256. */
const digestBytes = 16
const headBytes = 4 + digestBytes
/** Bytes before an answer: its key, its width, its numbers. */
const keyBytes = 16
const entryBytes = keyBytes + 8

/** What stands for a sequence, and for what is asked of it. */
export function keyOf(...content: NodeJS.ArrayBufferView[]): Buffer {
  const hash = createHash('sha256')
  for (const numbers of content) addTo(hash, numbers)
  return hash.digest().subarray(0, keyBytes)
}

/**
 * Answers on the disk, by the content of their sequences. Each run reads the files of those before it, as far as they are whole, and
 * writes one of its own: what a run that was killed left half written ends its file and nothing else.
 */
export class Answers {
  private readonly earlier: AsyncGenerator<Buffer>
  private readonly window = new Window()
  private looking: Promise<unknown> = Promise.resolve()
  private writing: Promise<void> = Promise.resolve()
  private handle: Promise<FileHandle> | null = null
  private gathered: Buffer[] = []
  private gatheredBytes = 0
  private timer: NodeJS.Timeout | undefined

  constructor(private readonly folder: string) {
    this.earlier = blocksIn(folder)
  }

  find(key: Buffer): Promise<Said | null> {
    const found = this.looking.then(() => this.look(key.toString('latin1')))
    this.looking = found.catch(() => {}) // whoever asks next meets it, too
    return found
  }

  /** The numbers are copied. Errors of the system, also of the writing before it. */
  add(key: Buffer, { data, width }: Said): Promise<void> {
    const entry = Buffer.allocUnsafe(entryBytes + data.byteLength)
    key.copy(entry)
    entry.writeUInt32LE(width, keyBytes)
    entry.writeUInt32LE(data.length, keyBytes + 4)
    entry.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), entryBytes)
    this.gathered.push(entry)
    this.gatheredBytes += entry.length
    if (this.gatheredBytes >= blockBytes) void this.flush()
    else this.timer ??= setTimeout(() => void this.flush(), longestWait).unref()
    return this.writing
  }

  async close(): Promise<void> {
    try {
      await this.flush()
    } finally {
      await this.looking
      await this.earlier.return(undefined)
      await (await this.handle)?.close()
    }
  }

  private async look(name: string): Promise<Said | null> {
    let said = this.window.get(name)
    while (said === null && this.window.ahead < windowBytes / 2) {
      const { value, done } = await this.earlier.next()
      if (done) break
      this.window.add(value)
      said = this.window.get(name)
    }
    return said
  }

  /** Errors of the system. */
  flush(): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.gathered.length === 0) return this.writing
    const answers = Buffer.concat(this.gathered)
    this.gathered = []
    this.gatheredBytes = 0
    this.writing = this.writing.then(async () => {
      this.handle ??= nextFile(this.folder)
      const head = Buffer.alloc(headBytes)
      head.writeUInt32LE(answers.length)
      digestOf(answers).copy(head, 4)
      await writeAll(await this.handle, Buffer.concat([head, answers]), null)
    })
    // Whoever adds the next one sees the failure.
    this.writing.catch(() => {})
    return this.writing
  }
}

/** Blocks that were read, the newest ones. */
class Window {
  private readonly places = new Map<string, { block: Buffer; at: number; end: number }>()
  private readonly blocks: Buffer[] = []
  private held = 0
  /** Bytes that were read, and up to the end of the last block in which something was found. */
  private read = 0
  private found = 0

  get ahead(): number {
    return this.read - this.found
  }

  add(block: Buffer): void {
    this.read += block.length
    this.held += block.length
    this.blocks.push(block)
    for (const { name, at } of entriesOf(block)) this.places.set(name, { block, at, end: this.read })
    while (this.held > windowBytes && this.blocks.length > 1) this.forget(this.blocks.shift()!)
  }

  get(name: string): Said | null {
    const place = this.places.get(name)
    if (!place) return null
    this.found = Math.max(this.found, place.end)
    const { block, at } = place
    const data = new Float32Array(block.readUInt32LE(at + keyBytes + 4))
    const from = at + entryBytes
    new Uint8Array(data.buffer).set(block.subarray(from, from + data.byteLength))
    return { data, width: block.readUInt32LE(at + keyBytes) }
  }

  private forget(block: Buffer): void {
    this.held -= block.length
    for (const { name } of entriesOf(block)) if (this.places.get(name)?.block === block) this.places.delete(name)
  }
}

function* entriesOf(block: Buffer): Generator<{ name: string; at: number }> {
  for (let at = 0; at < block.length; at += entryBytes + 4 * block.readUInt32LE(at + keyBytes + 4))
    yield { name: block.toString('latin1', at, at + keyBytes), at }
}

const fileName = (number: number) => `answers-${String(number).padStart(6, '0')}`
const filesIn = async (folder: string) =>
  (await readdir(folder).catch(() => [])).filter((name) => /^answers-\d+$/.test(name)).sort()

/** A file of a run of its own, behind those that are there. */
async function nextFile(folder: string): Promise<FileHandle> {
  for (let number = (await filesIn(folder)).length; ; number++) {
    try {
      return await open(join(folder, fileName(number)), 'wx')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

/** The blocks of each file up to the first that is not whole. */
async function* blocksIn(folder: string): AsyncGenerator<Buffer> {
  for (const name of await filesIn(folder)) {
    const handle = await open(join(folder, name))
    try {
      const { size } = await handle.stat()
      const head = Buffer.alloc(headBytes)
      for (let at = 0; at + headBytes < size; ) {
        await readAll(handle, head, at)
        at += headBytes
        const length = head.readUInt32LE()
        if (length === 0 || at + length > size) break
        const block = Buffer.allocUnsafeSlow(length)
        await readAll(handle, block, at)
        if (!digestOf(block).equals(head.subarray(4))) break
        yield block
        at += length
      }
    } finally {
      await handle.close()
    }
  }
}

const digestOf = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest().subarray(0, digestBytes)
