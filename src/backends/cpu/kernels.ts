import { setFlagsFromString } from 'node:v8'
import { readWasm } from '../../runtime/wasm.js'
import { bindKernels, type Kernels } from './kernels.generated.js'

/** `relaxed` uses fused multiply-add where the processor has it; `plain` gives the same bits on every machine. */
export type KernelSet = 'plain' | 'relaxed'

const modules = new Map<KernelSet, WebAssembly.Module>()

/** The kernels on `memory`, and the name of their set: `relaxed` where this Node can run it, unless asked otherwise. */
export function openKernels(memory: WebAssembly.Memory, wanted?: KernelSet): { name: KernelSet; kernels: Kernels } {
  const name = wanted ?? (runsRelaxed() ? 'relaxed' : 'plain')
  const instance = new WebAssembly.Instance(compile(name), { env: { memory } })
  return { name, kernels: bindKernels(instance) }
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
