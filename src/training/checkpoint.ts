import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { writeWhole } from '../checkpoints/safetensors-write.js'
import { exitCodes, UserError } from '../shell/errors.js'
import type { HostTensor, TrainingState } from './replica.js'

/** The best model so far. */
export interface Best {
  step: number
  /** Value of the metric, higher is better. */
  score: number
  weights: Map<string, HostTensor>
}

/** Where an unfinished run stands: all that the next step depends on, to the bit. */
export interface Checkpoint {
  /** What a run that continues must have in common: spec, settings, data. */
  identity: Record<string, unknown>
  state: TrainingState
  best: Best | null
  /** Epochs since the best validation. */
  stale: number
  /** Sums over the epoch so far. */
  epoch: { loss: number; right: number; records: number }
  /** Bytes of the run log at this point. */
  logged: number
}

const fileOf = (out: string) => join(out, 'checkpoint', 'state')

/** Written beside and renamed: a kill at any moment leaves the old or the new one. Errors: 73. */
export async function saveCheckpoint(out: string, checkpoint: Checkpoint): Promise<void> {
  await mkdir(join(out, 'checkpoint'), { recursive: true })
  await writeWhole(fileOf(out), [serialize(checkpoint)])
}

/** The checkpoint in `out`, or null. One of another run is an error (73) that names the first difference. */
export async function loadCheckpoint(out: string, identity: Record<string, unknown>): Promise<Checkpoint | null> {
  const bytes = await readFile(fileOf(out)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw new UserError(`cannot read ${fileOf(out)}: ${error.message}`, exitCodes.io)
  })
  if (!bytes) return null
  let checkpoint: Checkpoint
  try {
    checkpoint = deserialize(bytes)
  } catch {
    throw new UserError(`${fileOf(out)} is no checkpoint of a training run`, exitCodes.cannotCreate)
  }
  const other = firstDifference(checkpoint.identity, identity)
  if (other)
    throw new UserError(
      `${out} holds an unfinished run with another ${other}; continue it with the same arguments, or start anew with --force or another --out`,
      exitCodes.cannotCreate,
    )
  return checkpoint
}

export async function removeCheckpoint(out: string): Promise<void> {
  await rm(join(out, 'checkpoint'), { recursive: true, force: true })
}

function firstDifference(a: unknown, b: unknown, path = ''): string | null {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return Object.is(a, b) ? null : `${path} (${JSON.stringify(a)} there, ${JSON.stringify(b)} here)`
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const found = firstDifference(
      (a as Record<string, unknown>)[key],
      (b as Record<string, unknown>)[key],
      path === '' ? key : `${path}.${key}`,
    )
    if (found) return found
  }
  return null
}
