import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface GoldenTensor {
  shape: number[]
  data: Float32Array
}

/** Reads the float32 tensors of a safetensors file. */
function readTensors(path: string): Map<string, GoldenTensor> {
  const bytes = readFileSync(path)
  const headerLength = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength))
  const tensors = new Map<string, GoldenTensor>()
  for (const [name, entry] of Object.entries<{ dtype: string; shape: number[]; data_offsets: number[] }>(header)) {
    if (name === '__metadata__' || entry.dtype !== 'F32') continue
    const [from, to] = entry.data_offsets
    const start = bytes.byteOffset + 8 + headerLength
    tensors.set(name, { shape: entry.shape, data: new Float32Array(bytes.buffer.slice(start + from, start + to)) })
  }
  return tensors
}

/** A folder of test/golden with the inputs and outputs of a kernel of the official code. */
export function goldenKernel(name: string) {
  const folder = fileURLToPath(new URL(`golden/${name}/`, import.meta.url))
  const json = (file: string) => JSON.parse(readFileSync(folder + file, 'utf8'))
  const meta: { tensors: Record<string, { atol: number }> } = json('meta.json')
  return {
    config: json('config.json'),
    inputs: readTensors(`${folder}inputs.safetensors`),
    expected: readTensors(`${folder}expected.safetensors`),
    atol: (tensor: string) => meta.tensors[tensor].atol,
  }
}
