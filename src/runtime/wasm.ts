import { readFileSync } from 'node:fs'
import { join } from 'node:path'
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
