import { join } from 'node:path'
import { writeSafetensors, writeWhole } from '../checkpoints/safetensors-write.js'
import type { ModelSpec } from '../spec.js'
import type { HostTensor } from './replica.js'

/** Writes a model in longwave's own layout: model.safetensors (float32), then config.json. Errors: 73. */
export async function saveModel(
  folder: string,
  spec: ModelSpec,
  weights: Map<string, HostTensor>,
  training: Record<string, unknown>,
): Promise<void> {
  const tensors = [...weights].map(([name, { rows, cols, data }]) => ({
    name,
    dtype: 'F32' as const,
    shape: [rows, cols],
    data: Float32Array.from(data),
  }))
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  const config = `${JSON.stringify({ format: 'longwave', spec, training }, null, 2)}\n`
  await writeWhole(join(folder, 'config.json'), [Buffer.from(config)])
}
