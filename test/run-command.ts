import { Readable, Writable } from 'node:stream'
import { runLine, tellError } from '../dist/src/shell/main.js'
import { packageRoot } from '../src/runtime/package-root.js'
import { cleanEnv } from './shell/run.js'

export interface Ended {
  code: number
  stdout: Buffer
  stderr: string
}

export interface CommandOptions {
  /** Standard input; as a function, block by block, with what has come out so far. */
  input?: string | Uint8Array | ((stdout: () => Buffer) => AsyncIterable<Uint8Array>)
  env?: Record<string, string>
  cwd?: string
}

let before: Promise<unknown> = Promise.resolve()

/**
 * Runs `longwave ...args` of the built package in this process, which costs a tenth of what a process of its own does.
 * What depends on a process (signals, pipes, descriptors, limits, the start) is tested through `longwave` and `shell`
 * of shell/run.ts. Calls wait for each other: a process has one standard output. One thread computes, unless the
 * arguments say otherwise.
 */
export function command(args: string[], options: CommandOptions = {}): Promise<Ended> {
  const ended = before.then(() => run(args, options))
  before = ended.catch(() => {})
  return ended
}

async function run(args: string[], { input = '', env = {}, cwd = packageRoot }: CommandOptions): Promise<Ended> {
  const [stdout, stderr] = [new Collected(), new Collected()]
  const stdin = Readable.from(typeof input === 'function' ? input(stdout.all) : blocks(Buffer.from(input)))
  process.chdir(cwd)
  const restore = replace({ stdin, stdout, stderr, env: { ...cleanEnv(), LONGWAVE_THREADS: '1', ...env } })
  try {
    const code = await runLine(args).then(
      () => 0,
      (error: unknown) => tellError(error, args),
    )
    return { code, stdout: stdout.all(), stderr: stderr.all().toString() }
  } finally {
    restore()
    process.chdir(packageRoot)
  }
}

/** Puts these in the place of what the process has; gives what puts them back. */
function replace(properties: Record<string, unknown>): () => void {
  const own = Object.keys(properties).map((name) => [name, Object.getOwnPropertyDescriptor(process, name)!] as const)
  for (const [name, value] of Object.entries(properties))
    Object.defineProperty(process, name, { value, configurable: true })
  return () => {
    for (const [name, descriptor] of own) Object.defineProperty(process, name, descriptor)
  }
}

/** As a pipe gives them, each in memory of its own: whoever reads may give it up. */
function* blocks(bytes: Buffer): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += 65_536) yield Buffer.from(bytes.subarray(from, from + 65_536))
}

class Collected extends Writable {
  private readonly parts: Buffer[] = []

  override _write(part: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.parts.push(Buffer.from(part))
    done()
  }

  all = () => Buffer.concat(this.parts)
}
