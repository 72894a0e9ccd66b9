import { createRequire } from 'node:module'

/**
 * The little of onnxruntime-node that is called here. Its own types stay out: it is an optional dependency, and the build must
 * not need it.
 */
export interface OnnxRuntime {
  InferenceSession: { create(model: Uint8Array, options: object): Promise<OnnxSession> }
  Tensor: new (type: 'float32', data: Float32Array, shape: number[]) => OnnxTensor
}

export interface OnnxSession {
  run(feeds: Record<string, OnnxTensor>, fetches: Record<string, OnnxTensor>): Promise<Record<string, OnnxTensor>>
  release(): Promise<void>
}

export interface OnnxTensor {
  readonly data: unknown
}

const packageName: string = 'onnxruntime-node'

/** Loads it; throws where it is not installed or has no binary for this platform. */
export function loadOnnxRuntime(): Promise<OnnxRuntime> {
  // From 1.29 on it uploads usage events and writes files of its own, unless this is set before it is loaded.
  process.env.ORT_DISABLE_TELEMETRY = '1'
  return import(packageName)
}

/** Where its main file is, or null where it is not installed. It is not loaded: that takes memory that only workers need. */
export function findOnnxRuntime(): string | null {
  try {
    return createRequire(import.meta.url).resolve(packageName)
  } catch {
    return null
  }
}

/** npm drops it when its install script, which is not needed, cannot download the CUDA files that nobody uses. */
export const howToInstall = "to have it, install longwave again with npm's --ignore-scripts"

/**
 * The line that a command prints once before it computes, where ONNX Runtime could be had and is not; `doctor` tells of platforms
 * that it has no binary for. How much slower: measured on causal and bidirectional models of 4 x 128.
 */
export function noteMissing(note: (line: string) => void): void {
  if (findOnnxRuntime() === null)
    note(`ONNX Runtime is not installed, so models take up to 1.5 times as long; ${howToInstall}`)
}
