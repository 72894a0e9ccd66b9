import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, UserError } from '../../errors.js'
import type { Weights } from '../../layers/params.js'
import { addTo } from '../../runtime/digest.js'
import { reason } from '../../runtime/file-bytes.js'
import type { ModelSpec } from '../../spec.js'
import { Answers } from './answers.js'
import { LongSequence } from './long-sequence.js'
import { type LongSweep, openSweep, removeSweep } from './long-sweep.js'

/** What two runs must have in common to be one: what decides about their output. */
export interface Identity {
  version: string
  command: string
  flags: Record<string, unknown>
  device: string
  /** SHA-256 of its spec and weights. */
  model: string
  inputs: Input[]
}

/** A file; of a pipe only its name is known. */
interface Input {
  path: string
  size?: number
  /** When it was last written, in milliseconds. */
  written?: number
}

/** The identity, and what the first run chose that the others must keep. */
interface Saved {
  identity: Identity
  /** Tokens. */
  chunk: number
}

const identityFile = 'run.json'
const ownFiles =
  /^(run\.json(\.new)?|answers-\d+|[0-9a-f]+\.(rows|state|new)|[0-9a-f]+\.(whole|left|right)(\.(one|other))?\.(sweep|new|stream|borders|rows))$/

/**
 * The folder beside an output in which a run with `--resume` keeps what it has computed, until the output is there. Nothing is made
 * before `begin`.
 */
export class ResumeFolder {
  /** Pieces of sequences that an earlier run had computed, and all. */
  known = 0
  asked = 0
  /** Passes over layers of long sequences that it had done. */
  passes = 0
  private begun: Promise<void> | null = null
  private readonly stored: Answers
  private readonly long = new Set<LongSequence>()
  /** Paths of those that are under way. */
  private readonly sweeps = new Set<string>()

  private constructor(
    readonly path: string,
    private readonly identity: Identity,
    /** What an earlier run has left here goes on. */
    readonly resumed: boolean,
    /** Tokens, of the earlier run or as planned. */
    public chunk: number | undefined,
  ) {
    this.stored = new Answers(path)
  }

  /** Errors: 73, with nothing touched, for a folder of another run, and for one that no run has made. */
  static async open(path: string, identity: Identity): Promise<ResumeFolder> {
    const wanted = JSON.parse(JSON.stringify(identity)) as Identity // as it was written
    const files = await readdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [] as string[]
      throw new UserError(`${path}: ${reason(error)}`, exitCodes.cannotCreate)
    })
    const foreign = files.find((name) => !ownFiles.test(name))
    if (foreign !== undefined)
      throw new UserError(`${path}: holds ${foreign}, which --resume did not make`, exitCodes.cannotCreate)
    const saved = files.includes(identityFile) ? await savedIn(path) : null
    const other = saved && difference(saved.identity, wanted)
    if (other) {
      const cure = `remove it to begin anew, or leave --resume out`
      throw new UserError(`${path} is of another run: ${other}; ${cure}`, exitCodes.cannotCreate)
    }
    return new ResumeFolder(path, wanted, saved !== null, saved?.chunk)
  }

  /** Makes the folder. Errors: 73, 74. */
  begin(): Promise<void> {
    this.begun ??= this.make()
    return this.begun
  }

  /** Errors: 74. */
  get answers(): Pick<Answers, 'add' | 'find'> {
    const { stored } = this
    return {
      find: (key) => this.explain(() => stored.find(key)),
      add: (key, said) => this.explain(() => stored.add(key, said)),
    }
  }

  /** The sequence of a name. */
  async sequence(name: string): Promise<LongSequence> {
    const file = createHash('sha256').update(name).digest('hex').slice(0, 32)
    const sequence = await LongSequence.open(join(this.path, file))
    this.long.add(sequence)
    return sequence
  }

  /** The layers of a sequence of this content; null: the same one is under way. Errors: 74. */
  async sweep(key: string, mayHalve: boolean): Promise<LongSweep | null> {
    const path = join(this.path, key)
    if (this.sweeps.has(path)) return null
    this.sweeps.add(path)
    const { passes, ...sweep } = await this.explain(() => openSweep(path, mayHalve))
    this.passes += passes
    return sweep
  }

  /** Its answer is kept. Errors: 74. */
  async swept({ path }: LongSweep): Promise<void> {
    await this.explain(async () => {
      await this.stored.flush()
      await removeSweep(path)
    })
    this.sweeps.delete(path)
  }

  async over(sequence: LongSequence): Promise<void> {
    this.long.delete(sequence)
    await sequence.close()
  }

  /** What to know when the run ends early; null: there is nothing. */
  get advice(): string | null {
    return this.begun && `${this.path} keeps what was computed: the same command goes on from there`
  }

  /** The run failed: what it has computed stays. */
  async keep(): Promise<void> {
    await this.close().catch(() => {}) // one failure is enough to tell
  }

  /** The output is there. Errors: 74. */
  async remove(): Promise<void> {
    await this.explain(async () => {
      await this.close()
      // What is left of the folder by a kill is known as this run's as long as possible.
      for (const name of await readdir(this.path).catch(() => []))
        if (name !== identityFile) await rm(join(this.path, name), { force: true })
      await rm(this.path, { recursive: true, force: true })
    })
  }

  /** Errors of the system: 74. */
  async explain<Result>(step: () => Promise<Result>): Promise<Result> {
    try {
      return await step()
    } catch (error) {
      throw error instanceof UserError ? error : new UserError(`${this.path}: ${reason(error)}`, exitCodes.io)
    }
  }

  private async make(): Promise<void> {
    await mkdir(this.path, { recursive: true }).catch((error) => {
      throw new UserError(`${this.path}: cannot create the folder: ${reason(error)}`, exitCodes.cannotCreate)
    })
    if (this.resumed) return
    await this.explain(async () => {
      const saved: Saved = { identity: this.identity, chunk: this.chunk! }
      const file = join(this.path, identityFile)
      await writeFile(`${file}.new`, JSON.stringify(saved))
      await rename(`${file}.new`, file)
    })
  }

  private async close(): Promise<void> {
    for (const sequence of this.long) await sequence.close()
    await this.stored.close()
  }
}

async function savedIn(folder: string): Promise<Saved> {
  const file = join(folder, identityFile)
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Saved
  } catch (error) {
    throw new UserError(`${file}: ${reason(error)}; remove ${folder} to begin anew`, exitCodes.cannotCreate)
  }
}

/** In what two runs differ, in words. */
function difference(saved: Identity, wanted: Identity): string | null {
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)
  const shown = (value: unknown) => (value === undefined ? 'not given' : String(value))
  if (saved.version !== wanted.version) return `it was begun by longwave ${saved.version}`
  if (saved.command !== wanted.command) return `it was begun by ${saved.command}`
  for (const name of Object.keys({ ...saved.flags, ...wanted.flags })) {
    if (!same(saved.flags[name], wanted.flags[name])) return `--${name} was ${shown(saved.flags[name])}`
  }
  if (saved.device !== wanted.device) return `the device was ${saved.device}`
  if (saved.model !== wanted.model) return 'the model has changed'
  const [before, now] = [saved.inputs, wanted.inputs].map((inputs) => inputs.map(({ path }) => path))
  if (!same(before, now)) return 'the inputs were others'
  const changed = wanted.inputs.find((input, i) => !same(input, saved.inputs[i]))
  return changed ? `${changed.path} has changed` : null
}

/** SHA-256 of what a model is. */
export function modelDigest({ spec, weights }: { spec: ModelSpec; weights: Weights }): string {
  const hash = createHash('sha256').update(JSON.stringify(spec))
  for (const [name, { rows, cols, data }] of weights) addTo(hash.update(`\0${name}\0${rows}\0${cols}\0`), data)
  return hash.digest('hex')
}

/** Errors of opening an input are left to whoever reads it. */
export async function inputIdentity(path: string): Promise<Input> {
  const found = path === '-' ? null : await stat(path).catch(() => null)
  return found?.isFile() ? { path, size: found.size, written: found.mtimeMs } : { path }
}
