import { arch, cpus, platform } from 'node:os'
import { dirname } from 'node:path'
import { findOnnxRuntime, howToInstall, loadOnnxRuntime } from '../backends/cpu/onnxruntime.js'
import { type Device, defaultDevice, deviceNames, devices } from '../backends/registry.js'
import { probeFfmpeg, readHere } from '../input/audio/support.js'
import { availableMemory } from '../runtime/memory.js'
import { packageVersion } from '../runtime/package-root.js'
import { availableThreads } from '../runtime/threads.js'

/** What `doctor` reports: facts, then the choices made from them with their reasons. */
export interface Machine {
  node: string
  platform: string
  cpu: string
  cores: number
  /** Cores after affinity and container quota: the default of --threads. */
  threads: number
  /** Bytes; the container's limit where there is one. */
  memory: number
  /** WebAssembly with 128-bit SIMD, and with its relaxed instructions (fused multiply-add). */
  simd: boolean
  relaxed_simd: boolean
  onnxruntime: Finding
  /** Formats of audio that are read without another program, and by what. */
  audio: string
  /** What reads the others. */
  ffmpeg: Finding
  backends: BackendChoice[]
}

export interface Finding {
  works: boolean
  detail: string
}

export interface BackendChoice {
  name: Device
  state: 'picked' | 'available' | 'unavailable'
  detail: string
}

/** Probes this machine. */
export async function inspectMachine(): Promise<Machine> {
  const onnxruntime = await probeOnnxRuntime()
  const backends = await probeBackends()
  return {
    node: process.version,
    platform: `${platform()}-${arch()}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    threads: availableThreads(),
    memory: availableMemory(),
    // f32x4.add of two operands, f32x4.relaxed_madd of three. On Node 20 the backend has set the flag for the second.
    simd: WebAssembly.validate(wasmVectorFunction(2, [0xfd, 0xe4, 0x01])),
    relaxed_simd: WebAssembly.validate(wasmVectorFunction(3, [0xfd, 0x85, 0x02])),
    onnxruntime,
    audio: readHere,
    ffmpeg: await probeFfmpeg(),
    backends,
  }
}

/** What each device says of itself, and which is picked where none is asked for. */
async function probeBackends(): Promise<BackendChoice[]> {
  const choices: BackendChoice[] = []
  for (const name of deviceNames) {
    const { works, detail } = await devices[name].probe()
    const state = !works ? 'unavailable' : name === defaultDevice ? 'picked' : 'available'
    choices.push({ name, state, detail })
  }
  return choices
}

async function probeOnnxRuntime(): Promise<Finding> {
  const entry = findOnnxRuntime()
  if (entry === null) return { works: false, detail: `onnxruntime-node is not installed; ${howToInstall}` }
  try {
    await loadOnnxRuntime()
    return { works: true, detail: `onnxruntime-node ${packageVersion(dirname(entry))}` }
  } catch (error) {
    return { works: false, detail: `onnxruntime-node does not load on ${platform()}-${arch()}: ${firstLine(error)}` }
  }
}

/** A module with one function of `operands` v128 parameters that applies `instruction` to them. */
export function wasmVectorFunction(operands: number, instruction: number[]): Uint8Array<ArrayBuffer> {
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

const firstLine = (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n')[0]
