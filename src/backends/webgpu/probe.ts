import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { rememberChild } from '../../runtime/children.js'
import { packageRoot } from '../../runtime/package-root.js'
import { type FactorType, factorTypes, type Probe } from '../backend.js'

/** ms, of which a GPU takes a tenth to a third of a second. */
const patience = 30_000

/**
 * Looks for a GPU, and whether it multiplies these types of matrices, in a process of its own: a driver may print lines there, hang, or
 * end it. What it said before counts.
 */
export function probeWebgpu(matrices: readonly FactorType[] = factorTypes): Promise<Probe> {
  const script = join(packageRoot, 'dist/src/backends/webgpu/inspect.js')
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [script, ...matrices], { timeout: patience }, (error, stdout) => {
      const said = stdout.split('\n').filter((line) => line.startsWith('{'))
      if (said.length > 0) resolve(withoutLavapipe(JSON.parse(said.at(-1)!)))
      else if (error?.killed)
        resolve({ works: false, detail: `the driver of the GPU gave no answer in ${patience / 1e3} s` })
      else
        resolve({ works: false, detail: `the driver of the GPU ended the process (${error?.signal ?? error?.code})` })
    })
    rememberChild(child)
  })
}

/**
 * Where another driver was found, this process does not look at lavapipe, Mesa's driver that plays a GPU: Dawn complains on stderr of
 * versions that it cannot use.
 */
function withoutLavapipe(probe: Probe): Probe {
  if (probe.gpu && !probe.gpu.name.includes('llvmpipe')) process.env.VK_LOADER_DRIVERS_DISABLE ??= '*lvp_icd*'
  return probe
}
