import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inOrder } from '../../engine/in-order.js'
import { WorkerPool } from '../../engine/workers.js'
import { packageRoot } from '../../runtime/package-root.js'
import type { LogMelSpec } from '../../spec.js'
import { shareTargets } from '../data/targets.js'
import type { EnergyJob, EnergyResult } from './energy-worker.js'
import type { Energies, Recordings } from './recordings.js'

/** A recording and what a model should say of it. */
export interface LabelledRecording {
  /** Below the folder. */
  path: string
  target: ArrayLike<number>
}

/**
 * Reads all recordings as band energies, at each of the speeds, over worker threads. Errors: those of the audio reader,
 * one line that names the file.
 */
export async function loadRecordings(
  folder: string,
  recordings: readonly LabelledRecording[],
  spec: LogMelSpec,
  speeds: readonly number[],
  threads: number,
  onRead: (count: number) => void,
  note: (line: string) => void,
): Promise<Recordings> {
  const script = pathToFileURL(join(packageRoot, 'dist/src/training/audio/energy-worker.js'))
  const pool = new WorkerPool<EnergyJob, EnergyResult>(script, spec, threads)
  const versions: Int16Array[][] = speeds.map(() => [])
  try {
    const jobs = recordings.map(({ path }) => ({ path: join(folder, path), speeds }))
    let read = 0
    for await (const { versions: all, warnings } of inOrder(jobs, (job) => pool.run(job), 2 * threads)) {
      for (const [k, one] of all.entries()) versions[k].push(one)
      warnings.forEach(note)
      onRead(++read)
    }
  } finally {
    await pool.close()
  }
  return {
    kind: 'audio',
    versions: versions.map((parts) => share(parts, spec.n_mels)),
    ...shareTargets(recordings.map(({ target }) => target)),
  }
}

function share(parts: readonly Int16Array[], n_mels: number): Energies {
  const offsets = new Float64Array(new SharedArrayBuffer(8 * (parts.length + 1)))
  for (const [i, part] of parts.entries()) offsets[i + 1] = offsets[i] + part.length / n_mels
  const stored = new Int16Array(new SharedArrayBuffer(2 * n_mels * offsets[parts.length]))
  for (const [i, part] of parts.entries()) stored.set(part, n_mels * offsets[i])
  return { stored, offsets }
}
