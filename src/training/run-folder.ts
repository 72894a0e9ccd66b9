import { access, appendFile, constants, mkdir, readFile, rm, rmdir, stat, truncate } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { saveCheckpoint as saveModel } from '../checkpoints/own.js'
import { writeWhole } from '../checkpoints/safetensors-write.js'
import { exitCodes, UserError } from '../errors.js'
import type { Weights } from '../layers/params.js'
import { forgetTemporary, rememberTemporary } from '../output/temporary.js'
import { refuseLost } from '../runtime/surroundings.js'
import type { ModelSpec } from '../spec.js'
import type { Calibrated } from './metrics/temperature.js'
import type { HostTensor, TrainingState } from './replica.js'
import { type Found, findRunFiles, logMark, runFiles, stateMark } from './run-files.js'

/** The best model so far. */
export interface Best {
  step: number
  /** Value of the metric, higher is better. */
  score: number
  weights: Map<string, HostTensor>
  /** Of a classifier. */
  calibration: Calibrated | null
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

/**
 * The folder of a run: its log, its checkpoint until it is finished, and then the model. It holds nothing else, and
 * only files that training made are ever replaced or removed (run-files.ts).
 */
export class RunFolder {
  private readonly files: ReturnType<typeof runFiles>
  /** The log has a line. */
  private logged: boolean
  /** A checkpoint is on the disk. */
  private saved: boolean

  private constructor(
    private readonly out: string,
    private readonly identity: Identity,
    /** Where the run stood when it was interrupted; null for a new one. */
    readonly resumed: Standing | null,
    logged: boolean,
    /** The folder was made for this run. */
    private readonly made: boolean,
  ) {
    this.files = runFiles(out)
    this.logged = logged
    this.saved = resumed !== null
  }

  /**
   * Looks whether a run may use the folder, and changes nothing. Errors: 73 for a folder that holds anything that
   * training did not make, for one with a finished model (unless `force`), and for what is no folder.
   */
  static async check(out: string, force: boolean): Promise<Found> {
    const found = await findRunFiles(out)
    const { config, model, state } = runFiles(out)
    await checkWritable(out)
    const finished = found.own.has(config) || found.own.has(model)
    // With a checkpoint beside it the run was killed while it finished.
    if (finished && !found.own.has(state) && !force)
      throw new UserError(`${out} already holds a model; use --force to replace it`, exitCodes.cannotCreate)
    return found
  }

  /**
   * Errors: those of `check`, and 73 for a folder that holds another unfinished run (unless `force`) or cannot be made.
   */
  static async open(out: string, identity: Identity, force = false): Promise<RunFolder> {
    refuseLost(out)
    // As it will be read again.
    const written = JSON.parse(JSON.stringify(identity)) as Identity
    const found = await RunFolder.check(out, force)
    const { config, model, log, checkpoint, state } = runFiles(out)
    const resumed = !force && found.own.has(state) ? await loadCheckpoint(out, state, written) : null
    // A model without its config would be found with that of the next run: the config goes first, and comes last.
    // And before it what is known by it.
    for (const path of [...found.companions, config, model, ...(resumed ? [] : [state, log])])
      if (found.own.has(path)) await remove(path)
    for (const path of found.temporaries) await remove(path)
    if (!resumed && found.own.has(checkpoint)) await removeEmpty(checkpoint)
    if (!found.folder)
      await makeFolder(out).catch((error: Error) => {
        throw new UserError(`cannot create ${out}: ${error.message}`, exitCodes.cannotCreate)
      })
    const logged = resumed !== null && (await cutLog(log, resumed.logged))
    return new RunFolder(out, written, resumed, logged, !found.folder)
  }

  /** A line of the log, which the first one makes. Errors: 73 for a log that is not of this run, 74. */
  async write(line: Record<string, unknown>): Promise<void> {
    const { log } = this.files
    const { O_APPEND, O_WRONLY } = constants
    const all = this.logged ? line : { ...logMark, ...line }
    await appendFile(log, `${JSON.stringify(all)}\n`, { flag: this.logged ? O_WRONLY | O_APPEND : 'ax' }).catch(
      cannotWrite(log),
    )
    if (!this.logged && !this.saved) rememberTemporary(log)
    this.logged = true
  }

  /** Written beside and renamed: a kill at any moment leaves the old or the new one. Errors: 73, 74. */
  async save(standing: Standing): Promise<void> {
    const { log, checkpoint, state } = this.files
    const logged = this.logged ? (await stat(log).catch(cannotWrite(log))).size : 0
    const content: Checkpoint = { ...standing, identity: this.identity, logged }
    await mkdir(checkpoint, { recursive: true }).catch(cannotWrite(checkpoint))
    await writeWhole(state, [stateMark, serialize(content)])
    this.saved = true
    forgetTemporary(log)
  }

  /**
   * The model, in place of the checkpoint. There is one until the model is whole: a run that is killed here goes on
   * from it. Errors: 73, 74; the checkpoint stays.
   */
  async finish(
    standing: Standing,
    spec: ModelSpec,
    weights: Weights,
    card: Record<string, unknown>,
    companions: ReadonlyMap<string, Uint8Array> = new Map(),
  ): Promise<void> {
    if (!this.saved) await this.save(standing)
    await saveModel(this.out, spec, weights, card, false)
    // By the config they are known as the run's own.
    for (const [name, bytes] of companions) await writeWhole(join(this.out, name), [bytes], false)
    await remove(this.files.state)
    await removeEmpty(this.files.checkpoint)
  }

  /** After a failure: what cannot be continued is removed. */
  async abandon(): Promise<void> {
    if (this.saved) return
    if (this.logged) await remove(this.files.log)
    forgetTemporary(this.files.log)
    await removeEmpty(this.files.checkpoint)
    if (this.made) await removeEmpty(this.out)
  }
}

const remove = (file: string) => rm(file, { force: true }).catch(cannotWrite(file))

/** With the folders above it. mkdir with `recursive` never ends in /proc (Node 20). Errors: of the system. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder)
  } catch (error) {
    const above = dirname(folder)
    const isThere = access(above).then(
      () => true,
      () => false,
    )
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || (await isThere)) throw error
    await makeFolder(above)
    await mkdir(folder)
  }
}

/** A folder that somebody put something into stays. */
const removeEmpty = (folder: string) => rmdir(folder).catch(() => {})

const cannotWrite = (file: string) => (error: Error) => {
  throw new UserError(`cannot write ${file}: ${error.message}`, exitCodes.io)
}

/** Errors: 73 where the folder, or the nearest one above it that exists, cannot be written to. */
async function checkWritable(out: string): Promise<void> {
  for (let folder = resolve(out); ; folder = dirname(folder)) {
    const failure: NodeJS.ErrnoException | null = await access(folder, constants.W_OK).then(
      () => null,
      (error) => error,
    )
    if (failure === null) return
    if (failure.code !== 'ENOENT' || folder === dirname(folder))
      throw new UserError(`cannot create ${out}: ${failure.message}`, exitCodes.cannotCreate)
  }
}

/** Back to its length at the checkpoint. False: nothing is left of it. */
async function cutLog(log: string, length: number): Promise<boolean> {
  const size = await stat(log).then(
    (found) => found.size,
    () => 0,
  )
  const kept = Math.min(size, length)
  if (kept < size) await truncate(log, kept).catch(cannotWrite(log))
  if (kept === 0) await remove(log)
  return kept > 0
}

/** Errors: 73 for a checkpoint of another run, or a damaged one. */
async function loadCheckpoint(out: string, file: string, identity: Identity): Promise<Checkpoint> {
  const bytes = await readFile(file).catch((error: Error) => {
    throw new UserError(`cannot read ${file}: ${error.message}`, exitCodes.io)
  })
  let checkpoint: Checkpoint
  try {
    checkpoint = deserialize(bytes.subarray(stateMark.length))
  } catch {
    throw new UserError(`${file} is damaged; start anew with --force or another --out`, exitCodes.cannotCreate)
  }
  const other = firstDifference(checkpoint.identity, identity)
  if (other)
    throw new UserError(
      `${out} holds an unfinished run with another ${other}; continue it with the same arguments, or start anew with --force or another --out`,
      exitCodes.cannotCreate,
    )
  return checkpoint
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
