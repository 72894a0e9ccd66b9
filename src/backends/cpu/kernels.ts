import { setFlagsFromString } from 'node:v8'
import { readWasm } from '../../runtime/wasm.js'

/** `relaxed` uses fused multiply-add where the processor has it; `plain` gives the same bits on every machine. */
export type KernelSet = 'plain' | 'relaxed'

/** The exports of kernels/*.ts; addresses and steps in bytes, argument lists as documented there. */
export type Kernels = Record<KernelName, (...args: number[]) => void> &
  Record<'convGradScratch', (E: number, K: number) => number> &
  Record<'keptStates', (rows: number) => number> &
  Record<'scanGradScratch', (channels: number, N: number) => number>

export type KernelName =
  | 'accumulate'
  | 'adamw'
  | 'causalConv'
  | 'clear'
  | 'clearRows'
  | 'combineRows'
  | 'convGrad'
  | 'copyRows'
  | 'decayRates'
  | 'foldRows'
  | 'foldWindows'
  | 'gatherRows'
  | 'lastRows'
  | 'maxRows'
  | 'multiply'
  | 'normGrad'
  | 'normRows'
  | 'packPanels'
  | 'scanGrad'
  | 'scatterRows'
  | 'selectiveScan'
  | 'siluRows'
  | 'spreadRow'
  | 'spreadToMax'
  | 'sumRows'
  | 'unfoldRows'
  | 'widenBF16'
  | 'widenF16'

const modules = new Map<KernelSet, WebAssembly.Module>()

/** The kernels on `memory`, and the name of their set: `relaxed` where this Node can run it, unless asked otherwise. */
export function openKernels(memory: WebAssembly.Memory, wanted?: KernelSet): { name: KernelSet; kernels: Kernels } {
  const name = wanted ?? (runsRelaxed() ? 'relaxed' : 'plain')
  const instance = new WebAssembly.Instance(compile(name), { env: { memory } })
  return { name, kernels: instance.exports as unknown as Kernels }
}

function compile(name: KernelSet): WebAssembly.Module {
  let module = modules.get(name)
  if (!module) {
    if (name === 'relaxed') runsRelaxed()
    // The baseline compiler's code is 4 times slower and stays for several calls; optimising takes about 2 ms.
    setFlagsFromString('--no-liftoff')
    module = new WebAssembly.Module(readWasm(name))
    modules.set(name, module)
  }
  return module
}

/** Node 20 has relaxed SIMD behind a flag. */
function runsRelaxed(): boolean {
  const bytes = readWasm('relaxed')
  if (WebAssembly.validate(bytes)) return true
  if (!process.version.startsWith('v20.')) return false
  setFlagsFromString('--experimental-wasm-relaxed-simd')
  return WebAssembly.validate(bytes)
}
