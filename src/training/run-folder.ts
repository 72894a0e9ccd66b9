import { existsSync } from 'node:fs'
import { appendFile, mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { saveCheckpoint as saveModel } from '../checkpoints/own.js'
import { writeWhole } from '../checkpoints/safetensors-write.js'
import { exitCodes, UserError } from '../shell/errors.js'
import { refuseLost } from '../shell/surroundings.js'
import type { ModelSpec, Weights } from '../spec.js'
import type { HostTensor, TrainingState } from './replica.js'

/** The best model so far. */
export interface Best {
  step: number
  /** Value of the metric, higher is better. */
  score: number
  weights: Map<string, HostTensor>
}

/** Where an unfinished run stands: all that the next step depends on, to the bit. */
export interface Standing {
  state: TrainingState
  best: Best | null
  /** Epochs since the best validation. */
  stale: number
  /** Sums over the epoch so far. */
  epoch: { loss: number; right: number; records: number }
}

interface Checkpoint extends Standing {
  /** What a run that continues must have in common: spec, settings, data. */
  identity: Identity
  /** Bytes of the run log at this point. */
  logged: number
}

type Identity = Record<string, unknown>

/** The folder of a run: its log, its checkpoint until it is finished, and then the model. */
export class RunFolder {
  private readonly log: string

  private constructor(
    private readonly out: string,
    private readonly identity: Identity,
    /** Where the run stood when it was interrupted; null for a new one. */
    readonly resumed: Standing | null,
  ) {
    this.log = logOf(out)
  }

  /** Errors: 73 for a folder that holds another run or a finished model (unless `force`), or that cannot be made. */
  static async open(out: string, identity: Identity, force = false): Promise<RunFolder> {
    refuseLost(out)
    // As it will be read again.
    const written = JSON.parse(JSON.stringify(identity)) as Identity
    if (force) await clear(out)
    const resumed = await loadCheckpoint(out, written)
    if (!resumed && existsSync(join(out, 'config.json')))
      throw new UserError(`${out} already holds a model; use --force to replace it`, exitCodes.cannotCreate)
    await mkdir(out, { recursive: true }).catch((error: Error) => {
      throw new UserError(`cannot create ${out}: ${error.message}`, exitCodes.cannotCreate)
    })
    await (resumed ? truncate(logOf(out), resumed.logged) : writeFile(logOf(out), '')).catch(cannotWrite(logOf(out)))
    return new RunFolder(out, written, resumed)
  }

  /** A line of the log. Errors: 74. */
  async write(line: Record<string, unknown>): Promise<void> {
    await appendFile(this.log, `${JSON.stringify(line)}\n`).catch(cannotWrite(this.log))
  }

  /** Written beside and renamed: a kill at any moment leaves the old or the new one. Errors: 73, 74. */
  async save(standing: Standing): Promise<void> {
    const { size: logged } = await stat(this.log).catch(cannotWrite(this.log))
    const checkpoint: Checkpoint = { ...standing, identity: this.identity, logged }
    await mkdir(join(this.out, 'checkpoint'), { recursive: true }).catch(cannotWrite(this.out))
    await writeWhole(checkpointOf(this.out), [serialize(checkpoint)])
  }

  /** The model, in place of the checkpoint. */
  async finish(spec: ModelSpec, weights: Weights, card: Record<string, unknown>): Promise<void> {
    await saveModel(this.out, spec, weights, card)
    await removeCheckpoint(this.out)
  }
}

const checkpointOf = (out: string) => join(out, 'checkpoint', 'state')
const logOf = (out: string) => join(out, 'train-log.jsonl')

const cannotWrite = (file: string) => (error: Error) => {
  throw new UserError(`cannot write ${file}: ${error.message}`, exitCodes.io)
}

async function loadCheckpoint(out: string, identity: Identity): Promise<Checkpoint | null> {
  const file = checkpointOf(out)
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw new UserError(`cannot read ${file}: ${error.message}`, exitCodes.io)
  })
  if (!bytes) return null
  let checkpoint: Checkpoint
  try {
    checkpoint = deserialize(bytes)
  } catch {
    throw new UserError(`${file} is no checkpoint of a training run`, exitCodes.cannotCreate)
  }
  const other = firstDifference(checkpoint.identity, identity)
  if (other)
    throw new UserError(
      `${out} holds an unfinished run with another ${other}; continue it with the same arguments, or start anew with --force or another --out`,
      exitCodes.cannotCreate,
    )
  return checkpoint
}

async function clear(out: string): Promise<void> {
  await removeCheckpoint(out)
  for (const name of ['config.json', 'model.safetensors', 'train-log.jsonl']) await rm(join(out, name), { force: true })
}

async function removeCheckpoint(out: string): Promise<void> {
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
