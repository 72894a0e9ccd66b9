import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { exitCodes, UserError } from '../errors.js'
import { packageRoot } from '../runtime/package-root.js'

/** What one command line took, from the start of its process to the end. */
export interface Usage {
  seconds: number
  /** Largest resident set of the process, all its threads together. */
  peakBytes: number
}

/**
 * Runs `longwave ...args` in a process of its own, with the options of this one: peak memory means something only
 * there. `input` goes to its standard input as it takes it. Errors: UserError with the command's own line and exit
 * code.
 */
export async function runMeasured(args: string[], input: Iterable<Uint8Array> = []): Promise<Usage> {
  const script = join(packageRoot, 'dist/src/bench/measured.js')
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
  })
  child.stdin!.on('error', () => {}) // a command that failed says so itself
  Readable.from(input).pipe(child.stdin!)
  const kill = () => child.kill()
  process.on('exit', kill)
  const [[code], errors, usage] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    text(child.stderr!),
    text(child.stdio[3] as Readable),
  ])
  process.off('exit', kill)
  if (code === 0) return JSON.parse(usage)
  const line = errors
    .trim()
    .split('\n')
    .pop()
    ?.replace(/^longwave: /, '')
  throw new UserError(line || `longwave ${args.join(' ')} ended with ${code}`, code ?? exitCodes.internal)
}
