import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { exitCodes, UserError } from '../errors.js'
import { packageRoot } from './package-root.js'

/** Bytes of a compiled module of kernels, as scripts/build-kernels.js names it. */
export function readWasm(name: string): Uint8Array<ArrayBuffer> {
  const path = join(packageRoot, 'dist/kernels', `${name}.wasm`)
  try {
    return new Uint8Array(readFileSync(path))
  } catch (cause) {
    throw new Error(`cannot read ${path}: the package is not built (npm run build)`, { cause })
  }
}

/**
 * A memory of WebAssembly, in pages of 64 KiB. Errors (UserError): 69 where the address space for it is not to be had.
 * V8 reserves 10 GiB for each, so that it need not check bounds, and a limit of the shell or of a batch system (SGE's
 * h_vmem) may be lower.
 */
export function newMemory(initial: number, maximum: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial, maximum })
  } catch {
    const cause =
      'no address space for the memory of a thread (10 GiB are reserved): a limit is lower (ulimit -v, h_vmem)'
    const cure = 'raise it, use fewer --threads, or set NODE_OPTIONS=--disable-wasm-trap-handler, which is slower'
    throw new UserError(`${cause}; ${cure}`, exitCodes.unavailable)
  }
}
