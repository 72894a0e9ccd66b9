import { exitCodes } from '../errors.js'
import { hangUpIgnored } from '../runtime/hang-up.js'
import { settleAll } from '../runtime/native-calls.js'

/** Asked once, at the start: a parent may end. */
const ignoresHangUp = hangUpIgnored()

/**
 * What the process must know before anything else runs: a reader that goes away (`| head`) ends it quietly, signals end
 * it with the shell's codes through process.exit, so that exit handlers remove temporary files and end child processes,
 * NO_COLOR counts for every library, and nothing phones home. The environment has to be set in the main thread: workers
 * have only a copy of it.
 */
export function guardProcess(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      // Other write errors reach the writer that awaits them; here they only must not become uncaught.
    })
  }
  if (ignoresHangUp) process.on('SIGHUP', () => {})
  for (const [signal, code] of Object.entries(endingSignals()))
    process.on(signal, () => endBy(signal as NodeJS.Signals, code))
  if (process.env.NO_COLOR) process.env.FORCE_COLOR = '0'
  process.env.ORT_DISABLE_TELEMETRY = '1'
}

/** Milliseconds that a signal waits for native code. */
const patience = 5_000

/**
 * Ends the process with the code of a signal, once threads are outside native code. A call that does not come back (a driver that hangs, a
 * GPU that takes many seconds for one command) would end it with another code: there the signal does what it does to a program that does not
 * know it, when exit handlers are done. A shell gives the same code for that.
 */
export function endBy(signal: NodeJS.Signals, code: number): never {
  if (!settleAll(patience))
    process.on('exit', () => {
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    })
  process.exit(code)
}

/** The signals that end a command, and its exit code then. */
export function endingSignals(): Partial<Record<NodeJS.Signals, number>> {
  const { hungUp: SIGHUP, interrupted: SIGINT, terminated: SIGTERM } = exitCodes
  return ignoresHangUp ? { SIGINT, SIGTERM } : { SIGHUP, SIGINT, SIGTERM }
}
