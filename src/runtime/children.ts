import type { ChildProcess } from 'node:child_process'
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads'

const key = 'longwave.children'

/** More than run at once: one for each thread that reads. */
const places = 4096

/**
 * Ids of the child processes that run, 0 where a place is free. All threads share it: when the main thread calls
 * process.exit, no handler of a worker runs, and what the worker started would live on.
 */
const running = ((): Int32Array => {
  const shared = getEnvironmentData(key)
  if (shared instanceof SharedArrayBuffer) return new Int32Array(shared)
  const made = new Int32Array(new SharedArrayBuffer(4 * places))
  setEnvironmentData(key, made.buffer)
  process.on('exit', killAll)
  return made
})()

/**
 * Ends the child with this process, on every path that it can catch. Workers count that are started after this module
 * is loaded.
 */
export function rememberChild(child: ChildProcess): void {
  const { pid } = child
  if (pid === undefined) return
  for (let place = 0; place < places; place++) {
    if (Atomics.compareExchange(running, place, 0, pid) !== 0) continue
    child.once('exit', () => Atomics.store(running, place, 0))
    return
  }
  child.kill('SIGKILL')
  throw new Error(`more than ${places} child processes`)
}

function killAll(): void {
  for (const pid of running) {
    if (pid === 0) continue
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended by itself just now.
    }
  }
}
