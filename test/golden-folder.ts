import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { widened } from '../src/backends/weight.js'
import { SafetensorsFile } from '../src/checkpoints/safetensors.js'

export interface GoldenTensor {
  shape: number[]
  data: Float32Array
}

/** The float32 tensors of a safetensors file. */
async function readTensors(path: string): Promise<Map<string, GoldenTensor>> {
  const file = await SafetensorsFile.open(path)
  const tensors = new Map<string, GoldenTensor>()
  for (const [name, { dtype, shape }] of file.tensors) {
    if (dtype === 'F32') tensors.set(name, { shape, data: widened(await file.weight(name)) })
  }
  await file.close()
  return tensors
}

/** A folder of test/golden with the inputs and outputs of a kernel of the official code. */
export async function goldenKernel(name: string) {
  const folder = fileURLToPath(new URL(`golden/${name}/`, import.meta.url))
  const json = (file: string) => JSON.parse(readFileSync(folder + file, 'utf8'))
  const meta: { tensors: Record<string, { atol: number }> } = json('meta.json')
  return {
    config: json('config.json'),
    inputs: await readTensors(`${folder}inputs.safetensors`),
    expected: await readTensors(`${folder}expected.safetensors`),
    atol: (tensor: string) => meta.tensors[tensor].atol,
  }
}
