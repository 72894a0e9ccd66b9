import { parentPort, workerData } from 'node:worker_threads'
import { serve } from '../../engine/workers.js'
import { readAudio } from '../../input/audio/read.js'
import { concatenate } from '../../runtime/concatenate.js'
import type { LogMelSpec } from '../../spec.js'
import { MelEnergies } from '../../tokens/mel-energies.js'
import { speed } from './augment.js'
import { toStored } from './recordings.js'

export interface EnergyJob {
  path: string
  speeds: readonly number[]
}

/** Energies at each speed, and the warnings of the reader. */
export interface EnergyResult {
  versions: Int16Array<ArrayBuffer>[]
  warnings: string[]
}

/**
 * A worker thread that reads recordings and takes their energies: [frames, n_mels] for each speed, as recordings.ts
 * stores them.
 */
const spec = workerData as LogMelSpec
serve(
  parentPort!,
  async () => {},
  async (_, { path, speeds }: EnergyJob) => {
    const parts: Float32Array[] = []
    const warnings: string[] = []
    const report = ({ message }: { message: string }) => void warnings.push(message)
    for await (const part of await readAudio(path, { rate: spec.sample_rate, report })) parts.push(part.slice())
    const samples = concatenate(parts)
    const versions = speeds.map((factor) => energies(factor === 1 ? samples : speed(samples, factor)))
    return { result: { versions, warnings } satisfies EnergyResult, transfer: versions.map(({ buffer }) => buffer) }
  },
)

function energies(samples: Float32Array): Int16Array<ArrayBuffer> {
  const mel = new MelEnergies(spec)
  const first = Int16Array.from(mel.push(samples), toStored)
  const rest = Int16Array.from(mel.end(), toStored)
  const stored = new Int16Array(first.length + rest.length)
  stored.set(first)
  stored.set(rest, first.length)
  return stored
}
