import { exitCodes } from '../errors.js'
import { hangUpIgnored } from '../runtime/hang-up.js'

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
  for (const [signal, code] of Object.entries(endingSignals())) process.on(signal, () => process.exit(code))
  if (process.env.NO_COLOR) process.env.FORCE_COLOR = '0'
  process.env.ORT_DISABLE_TELEMETRY = '1'
}

/** The signals that end a command, and its exit code then. */
export function endingSignals(): Partial<Record<NodeJS.Signals, number>> {
  const { hungUp: SIGHUP, interrupted: SIGINT, terminated: SIGTERM } = exitCodes
  return ignoresHangUp ? { SIGINT, SIGTERM } : { SIGHUP, SIGINT, SIGTERM }
}
