import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { packageRoot } from '../../runtime/package-root.js'
import type { Probe } from '../backend.js'

/** ms, of which a GPU takes a tenth to a third of a second. */
const patience = 30_000

/** Looks for a GPU in a process of its own: a driver may print lines there, hang, or end it. */
export function probeWebgpu(): Promise<Probe> {
  const script = join(packageRoot, 'dist/src/backends/webgpu/inspect.js')
  return new Promise((resolve) => {
    execFile(process.execPath, [script], { timeout: patience }, (error, stdout) => {
      if (error?.killed)
        resolve({ works: false, detail: `the driver of the GPU gave no answer in ${patience / 1e3} s` })
      else if (error)
        resolve({ works: false, detail: `the driver of the GPU ended the process (${error.signal ?? error.code})` })
      else resolve(JSON.parse(stdout.trimEnd().split('\n').at(-1)!))
    })
  })
}
