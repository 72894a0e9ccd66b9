import { fstat } from 'node:fs'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { exitCodes, UserError } from '../errors.js'
import { destination } from './destination.js'
import { isStandardOutput } from './sink.js'

/** A file of a command: what the person calls it (`-o`, `--report`, `the input`), and its path. */
export interface Named {
  role: string
  path: string
}

const standardOutput: Named = { role: 'standard output', path: '-' }

/**
 * Refuses an output that is one of the inputs or another output, whatever the spelling: files are told apart by device
 * and inode, and those that do not exist yet by the folder that they would be in. Devices, pipes and sockets may be
 * named twice, standard output may not. A file that standard output was redirected to is an output, too. To be called
 * before anything is opened. Errors: 2.
 */
export async function refuseOverlap(outputs: readonly Named[], inputs: readonly Named[]): Promise<void> {
  const seen = new Map<string, Named>()
  const toStandardOutput = outputs.filter(({ path }) => isStandardOutput(path))
  if (toStandardOutput.length > 1)
    throw usage(`${toStandardOutput.map(asGiven).join(' and ')} are both standard output: name a file for one of them`)
  for (const output of toStandardOutput.length > 0 ? outputs : [...outputs, standardOutput]) {
    const identity = isStandardOutput(output.path) ? await ofDescriptor(1) : await identityOf(output.path)
    if (identity === null) continue
    const other = seen.get(identity)
    if (other) throw usage(`${nameOf(output)} is the same file as ${nameOf(other)}`)
    seen.set(identity, output)
  }
  if (seen.size === 0) return
  for (const input of inputs) {
    const identity = input.path === '-' ? await ofDescriptor(0) : await identityOf(input.path)
    const output = identity !== null && seen.get(identity)
    if (output) throw usage(`${nameOf(output)} is the same file as ${nameOfInput(input)}: an output is never an input`)
  }
}

const asGiven = ({ role, path }: Named) => `${role} ${path}`
const nameOf = (output: Named) => (isStandardOutput(output.path) ? standardOutput.role : asGiven(output))
const nameOfInput = (input: Named) => (input.path === '-' ? 'standard input' : asGiven(input))
const usage = (message: string) => new UserError(message, exitCodes.usage)

type Kind = { dev: bigint; ino: bigint; isFile(): boolean; isDirectory(): boolean }

/** null: nothing that is lost when it is named twice. */
const ofStats = (found: Kind) => (found.isFile() || found.isDirectory() ? `${found.dev}:${found.ino}` : null)

async function identityOf(path: string): Promise<string | null> {
  try {
    return ofStats(await stat(path, { bigint: true }))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return null // opening it will say why
  }
  return destination(path).catch(() => resolve(path))
}

/** A descriptor that was closed is no file. */
const ofDescriptor = (fd: number) => promisify(fstat)(fd, { bigint: true }).then(ofStats, () => null)
