import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { packageRoot } from '../../runtime/package-root.js'
import type { Probe } from '../backend.js'

/** Looks for a GPU in a process of its own: a driver may print lines there, or end it. */
export function probeWebgpu(): Promise<Probe> {
  const script = join(packageRoot, 'dist/src/backends/webgpu/inspect.js')
  return new Promise((resolve) => {
    execFile(process.execPath, [script], (error, stdout) => {
      if (error)
        resolve({ works: false, detail: `the driver of the GPU ended the process (${error.signal ?? error.code})` })
      else resolve(JSON.parse(stdout))
    })
  })
}
