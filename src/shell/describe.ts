import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { exitCodes, UserError } from '../errors.js'
import { packageRoot } from '../runtime/package-root.js'
import { didYouMean, nearest } from '../text/nearest.js'
import { printable } from '../text/printable.js'

/** What a person sees of an error: one line without the program's name (null: nothing), and the exit code. */
export interface Described {
  line: string | null
  exitCode: number
}

export function describeError(error: unknown): Described {
  if (error instanceof UserError) return { line: oneLine(error.message), exitCode: error.exitCode }
  if (!(error instanceof Error)) return internal(String(error))
  // The reader of our output went away: it has what it wanted.
  const { code, syscall } = error as NodeJS.ErrnoException
  if (code === 'EPIPE') return { line: null, exitCode: 0 }
  const lacking = resources.get(code ?? error.message)
  if (lacking) return { line: `${lacking} (${code ?? error.message})`, exitCode: exitCodes.unavailable }
  if (syscall === 'write') return { line: `cannot write: ${oneLine(error.message)}`, exitCode: exitCodes.io }
  const { oclif } = error as { oclif?: { exit?: number } }
  if (oclif?.exit !== undefined) {
    const said = code !== 'EEXIT'
    return { line: said ? `${oneLine(error.message)}${flagHint(error)} (see --help)` : null, exitCode: oclif.exit }
  }
  return internal(error.message || error.name)
}

const outOfMemory = 'out of memory: use --window, a smaller --chunk or fewer --threads'

/**
 * What a machine, or a limit of the shell or of a batch system, may be short of: by the code of the error, or by its
 * message.
 */
const resources = new Map([
  ['EMFILE', 'too many open files: a limit is too low (ulimit -n)'],
  ['ENFILE', 'too many open files on this machine'],
  ['ENOMEM', outOfMemory],
  ['ERR_MEMORY_ALLOCATION_FAILED', outOfMemory],
  ['Array buffer allocation failed', outOfMemory],
  ['ERR_WORKER_OUT_OF_MEMORY', outOfMemory],
  ['ERR_WORKER_INIT_FAILED', 'a thread could not be started: use fewer --threads (ulimit -u)'],
])

const internal = (message: string): Described => ({
  line: `internal error: ${oneLine(message)}. This is a bug: please report it, with what the same command prints with --verbose added`,
  exitCode: exitCodes.internal,
})

/** oclif wraps what a flag's parser says in three lines, and lists in more. */
const oneLine = (message: string) =>
  printable(
    message
      .replace(/^Parsing (--[\w-]+) \n\t/, '$1: ')
      .replace(/^command (\S+) not found\.?$/i, (_, id: string) => noSuchCommand(id.replaceAll(':', ' ')))
      .replace(/\nSee more help with --help$/, '')
      .replace(/\s*\n\s*/g, ' ')
      .replace(/: {2,}/g, ': ')
      .trim(),
  )

/** What follows a command that takes no arguments, oclif reads as part of its name. */
function noSuchCommand(typed: string): string {
  const commands = commandNames()
  const command = commands.find((name) => typed.startsWith(`${name} `))
  if (command) return `${command} takes no arguments, got '${typed.slice(command.length + 1)}'`
  // All that may follow `longwave`: commands, with their topic before them, and topics.
  const known = new Set([...commands, ...commands.map((name) => name.split(' ')[0]), 'help'])
  return `no such command: ${typed}${didYouMean(typed, known)}`
}

function commandNames(): string[] {
  const manifest = JSON.parse(readFileSync(join(packageRoot, 'oclif.manifest.json'), 'utf8'))
  return Object.keys(manifest.commands).map((id) => id.replaceAll(':', ' '))
}

/** oclif's error of flags that do not exist: those that were typed, and those that the command has. */
interface NoSuchFlags {
  flags: string[]
  parse: { input: { flags: Record<string, { allowNo?: boolean }> } }
}

function flagHint(error: Error): string {
  if (!error.message.startsWith('Nonexistent flag')) return ''
  const { flags, parse } = error as unknown as NoSuchFlags
  const known = Object.entries(parse.input.flags).flatMap(([name, { allowNo }]) =>
    allowNo ? [`--${name}`, `--no-${name}`] : [`--${name}`],
  )
  const meant = flags.map((typed) => nearest(typed, known)).filter((name) => name !== undefined)
  return meant.length === 0 ? '' : `; did you mean ${meant.join(', ')}?`
}
