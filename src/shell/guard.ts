import { exitCodes } from './errors.js'

/**
 * What the process must know before anything else runs: a reader that goes away (`| head`) ends it quietly, signals end
 * it with the shell's codes through process.exit, so that exit handlers remove temporary files and end child processes, NO_COLOR counts for every
 * library, and nothing phones home. The environment has to be set in the main thread: workers have only a copy of it.
 */
export function guardProcess(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      // Other write errors reach the writer that awaits them; here they only must not become uncaught.
    })
  }
  process.on('SIGHUP', () => process.exit(exitCodes.hungUp))
  process.on('SIGINT', () => process.exit(exitCodes.interrupted))
  process.on('SIGTERM', () => process.exit(exitCodes.terminated))
  if (process.env.NO_COLOR) process.env.FORCE_COLOR = '0'
  process.env.ORT_DISABLE_TELEMETRY = '1'
}
