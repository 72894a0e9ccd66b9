import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { availableThreads } from './threads.js'

// Node's own types leave it out.
declare const WebAssembly: { validate(bytes: Uint8Array): boolean }

/** What `doctor` reports: facts, then the choice made from them with its reasons. */
export interface Machine {
  node: string
  platform: string
  cpu: string
  cores: number
  /** Cores after affinity and container quota: the default of --threads. */
  threads: number
  /** Bytes; the container's limit where there is one. */
  memory: number
  simd: boolean
  relaxedSimd: boolean
  onnxruntime: Finding
  backends: BackendChoice[]
}

export interface Finding {
  works: boolean
  detail: string
}

export interface BackendChoice {
  name: string
  state: 'picked' | 'available' | 'unavailable'
  detail: string
}

/** Probes this machine; loads ONNX Runtime to see whether it works. */
export async function inspectMachine(): Promise<Machine> {
  // f32x4.add of two operands, f32x4.relaxed_madd of three.
  const simd = WebAssembly.validate(wasmVectorFunction(2, [0xfd, 0xe4, 0x01]))
  const relaxed = wasmVectorFunction(3, [0xfd, 0x85, 0x02])
  // Node 20 has it behind a flag, and knows the flag; later ones have it without.
  if (!WebAssembly.validate(relaxed)) setFlagsFromString('--experimental-wasm-relaxed-simd')
  const relaxedSimd = WebAssembly.validate(relaxed)
  const onnxruntime = await probeOnnxRuntime()
  const limit = process.constrainedMemory()
  return {
    node: process.version,
    platform: `${platform()}-${arch()}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length || availableParallelism(),
    threads: availableThreads(),
    memory: limit > 0 ? Math.min(limit, totalmem()) : totalmem(),
    simd,
    relaxedSimd,
    onnxruntime,
    backends: chooseBackends(simd, relaxedSimd, onnxruntime),
  }
}

/** The reasoning of `--device auto`, in words. */
export function chooseBackends(simd: boolean, relaxedSimd: boolean, onnxruntime: Finding): BackendChoice[] {
  const kernels = relaxedSimd
    ? 'relaxed SIMD kernels'
    : 'plain SIMD kernels, because this Node or this processor has no relaxed SIMD'
  const products = onnxruntime.works
    ? 'matrix products by ONNX Runtime'
    : `matrix products by our own SIMD kernel, slower, because ${onnxruntime.detail}`
  return [
    simd
      ? { name: 'cpu', state: 'picked', detail: `${kernels}; ${products}` }
      : { name: 'cpu', state: 'unavailable', detail: 'this Node has no WebAssembly SIMD' },
    {
      name: 'reference',
      state: simd ? 'available' : 'picked',
      detail: 'float64 TypeScript, for checking: exact and very slow',
    },
  ]
}

/** A module with one function of `operands` v128 parameters that applies `instruction` to them. */
export function wasmVectorFunction(operands: number, instruction: number[]): Uint8Array {
  const v128 = 0x7b
  const section = (id: number, bytes: number[]) => [id, bytes.length, ...bytes]
  const parameters = new Array<number>(operands).fill(v128)
  const body = [0, ...parameters.flatMap((_, i) => [0x20, i]), ...instruction, 0x0b]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, operands, ...parameters, 1, v128]),
    ...section(3, [1, 0]),
    ...section(10, [1, body.length, ...body]),
  ])
}

async function probeOnnxRuntime(): Promise<Finding> {
  try {
    const entry = createRequire(import.meta.url).resolve('onnxruntime-node')
    const version = packageVersion(dirname(entry))
    await import('onnxruntime-node')
    return { works: true, detail: `onnxruntime-node ${version}` }
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error)
    return { works: false, detail: `onnxruntime-node does not load on ${platform()}-${arch()}: ${why}` }
  }
}

function packageVersion(folder: string): string {
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version
}
