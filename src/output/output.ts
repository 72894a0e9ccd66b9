import { gzipSink } from './gzip.js'
import { type OutputOptions, openSink, type Sink } from './sink.js'

/**
 * The one writer under every format. Writes are ordered, and awaiting them keeps memory flat and loses nothing however
 * slow the reader is. A file appears under its name by `close`, whole, or not at all.
 */
export interface Output {
  /** The path, or '-'. */
  readonly name: string
  /** The bytes are copied or written when this resolves; rejects with a UserError (74) if they cannot be written. */
  write(chunk: string | Uint8Array): Promise<void>
  /** What was written goes out now: for readers who wait for it. */
  flush(): Promise<void>
  /** Overwrites bytes that were written before; null where that is impossible (stdout, pipes, gzip). */
  readonly patch: ((bytes: Uint8Array, position: number) => Promise<void>) | null
  /** All bytes are on the disk, the name is not there yet. */
  finish(): Promise<void>
  /** `finish`, then the file gets its name. Errors: 73 when another process took it meanwhile (without `force`). */
  close(): Promise<void>
  /**
   * Takes the name back after `close`, because a partner did not get its own; an older file that was replaced stays
   * replaced.
   */
  withdraw(): Promise<void>
  /** Leaves nothing behind; standard output gets what was written so far. Harmless after `close`. */
  abort(): Promise<void>
}

const bufferSize = 256 * 1024

/** Milliseconds that a reader of standard output waits at most for a row that was written. */
const longestWait = 500

/**
 * Opens `path` for writing before any work is done: exit 73 if it exists without `force`, or cannot be created.
 * '-' and /dev/stdout are standard output; devices and named pipes are written straight; `.gz` compresses.
 */
export async function openOutput(path: string, options: OutputOptions = {}): Promise<Output> {
  const sink = await openSink(path, options)
  return new BufferedOutput(path, path.endsWith('.gz') ? gzipSink(sink) : sink)
}

/** null: an output that was not asked for. */
type Opened<Path> = Path extends string ? Output : Output | null

/** Opens the outputs of one command, or none of them: what is opened before a failure is removed. */
export async function openAll<const Paths extends readonly (string | undefined)[]>(
  paths: Paths,
  options?: OutputOptions,
): Promise<{ -readonly [I in keyof Paths]: Opened<Paths[I]> }> {
  const opened: (Output | null)[] = []
  try {
    for (const path of paths) opened.push(path === undefined ? null : await openOutput(path, options))
  } catch (error) {
    await abortAll(...opened)
    throw error
  }
  return opened as { -readonly [I in keyof Paths]: Opened<Paths[I]> }
}

/** Closes several outputs of one command so that their names appear only after all bytes of all of them are safe. */
export async function closeAll(...outputs: (Output | null)[]): Promise<void> {
  for (const output of outputs) await output?.finish()
  for (const [i, output] of outputs.entries()) {
    try {
      await output?.close()
    } catch (error) {
      for (const closed of outputs.slice(0, i)) await closed?.withdraw()
      throw error
    }
  }
}

export async function abortAll(...outputs: (Output | null)[]): Promise<void> {
  for (const output of outputs) await output?.abort()
}

class BufferedOutput implements Output {
  private buffer = Buffer.allocUnsafe(bufferSize)
  private used = 0
  /** Sink calls run one after the other; a failure stays, so that no later write seems to succeed. */
  private tail: Promise<void> = Promise.resolve()
  /** Calls of the sink that have not come back. */
  private underWay = 0
  private timer: NodeJS.Timeout | undefined
  private state: 'open' | 'finished' | 'closed' = 'open'
  readonly patch: Output['patch']

  constructor(
    readonly name: string,
    private readonly sink: Sink,
  ) {
    const { writeAt } = sink
    this.patch = writeAt
      ? async (bytes, position) => {
          await this.flush()
          await this.queue(() => writeAt(bytes, position))
        }
      : null
    if (sink.writeNow) process.on('exit', this.writeRest)
  }

  write(chunk: string | Uint8Array): Promise<void> {
    if (this.state !== 'open') throw new Error(`${this.name}: written after it was finished`)
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (this.used + bytes.length > bufferSize) void this.flush()
    if (bytes.length >= bufferSize) return this.queue(() => this.sink.write(bytes))
    this.buffer.set(bytes, this.used)
    this.used += bytes.length
    if (this.sink.writeNow) this.timer ??= setTimeout(() => void this.flush(), longestWait).unref()
    return this.tail
  }

  /** What an exit (a signal, an error) leaves in the buffer. Bytes under way would come behind it. */
  private readonly writeRest = () => {
    if (this.used === 0 || this.underWay > 0) return
    try {
      this.sink.writeNow?.(this.buffer.subarray(0, this.used))
    } catch {} // the process ends with the code that it has
  }

  flush(): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.used === 0) return this.tail
    const full = this.buffer.subarray(0, this.used)
    const part = this.used < bufferSize / 2 ? Buffer.from(full) : full
    if (part === full) this.buffer = Buffer.allocUnsafe(bufferSize)
    this.used = 0
    return this.queue(() => this.sink.write(part))
  }

  private queue(step: () => Promise<void>): Promise<void> {
    this.underWay++
    this.tail = this.tail.then(step).finally(() => this.underWay--)
    // Whoever awaits the next write sees the failure; it must not end the process as unhandled before that.
    this.tail.catch(() => {})
    return this.tail
  }

  async finish(): Promise<void> {
    if (this.state !== 'open') return this.tail
    void this.flush()
    this.state = 'finished'
    await this.queue(() => this.sink.finish())
  }

  async close(): Promise<void> {
    await this.finish()
    if (this.state === 'closed') return
    await this.sink.publish()
    this.end()
  }

  async withdraw(): Promise<void> {
    await this.sink.withdraw?.()
  }

  async abort(): Promise<void> {
    if (this.state === 'closed') return
    if (this.sink.writeNow) void this.flush()
    this.end()
    await this.tail.catch(() => {})
    await this.sink.abort()
  }

  private end(): void {
    this.state = 'closed'
    process.off('exit', this.writeRest)
  }
}
