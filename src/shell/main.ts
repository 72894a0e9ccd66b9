import { packageRoot, packageVersion } from '../runtime/package-root.js'
import { completeSurroundings } from '../runtime/surroundings.js'
import { printable } from '../text/printable.js'
import { describeError } from './describe.js'
import { guardProcess } from './guard.js'
import { helpPage } from './help.js'

/**
 * Runs one command line and ends the process with its exit code. oclif's own `execute` is not used: it ends the process
 * 10 s after the command although stdout may not be drained, and prints stack traces.
 */
export async function main(argv: string[]): Promise<void> {
  guardProcess()
  const fail = (error: unknown) => process.exit(tellError(error, argv))
  process.on('uncaughtException', fail)
  try {
    await runLine(argv)
  } catch (error) {
    fail(error)
  }
}

/**
 * Runs one command line in this process, with its streams and its environment, and leaves the process as it was. Throws
 * what went wrong.
 */
export async function runLine(argv: string[]): Promise<void> {
  completeSurroundings()
  // Without oclif, whose core takes longer to load than these to print.
  const text = versionAsked(argv) ? `${packageVersion()}\n` : helpPage(argv)
  if (text !== null) {
    // Awaited, so that a full disk is an error and a slow reader gets all of it.
    return await new Promise((done, failed) => process.stdout.write(text, (error) => (error ? failed(error) : done())))
  }
  // Not from '@oclif/core' itself: its index loads 60 modules more, 50 ms.
  const [{ run }, { settings }] = await Promise.all([import('@oclif/core/run'), import('@oclif/core/settings')])
  // Without this NODE_ENV=test or development makes oclif look for TypeScript sources.
  settings.enableAutoTranspile = false
  await run(argv, packageRoot)
}

/** Writes the line of an error to standard error, with --verbose its stack too, and gives the exit code. */
export function tellError(error: unknown, argv: string[]): number {
  const verbose = argv.includes('--verbose') || process.env.DEBUG === '*'
  const { line, exitCode } = describeError(error)
  if (line !== null) process.stderr.write(`longwave: ${line}\n`)
  if (line !== null && verbose && error instanceof Error)
    process.stderr.write(`${error.stack?.split('\n').map(printable).join('\n')}\n`)
  return exitCode
}

/** Pipelines want the bare number; oclif's --version prints the platform too. */
const versionAsked = (argv: string[]) => argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')
