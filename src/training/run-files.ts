import { type FileHandle, open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ownMetadata } from '../checkpoints/own.js'
import { exitCodes, UserError } from '../errors.js'
import { sha256Of } from './data/hashed.js'

/** Where a training run keeps what it writes. */
export const runFiles = (out: string) => ({
  config: join(out, 'config.json'),
  model: join(out, 'model.safetensors'),
  log: join(out, 'train-log.jsonl'),
  checkpoint: join(out, 'checkpoint'),
  state: join(out, 'checkpoint', 'state'),
})

/** The first line of a run log begins with this. */
export const logMark = { log: 'longwave train' }
/** The first bytes of a checkpoint; the number is that of its format. */
export const stateMark = Buffer.from('longwave checkpoint 1\n')

/** How a file of training begins, after `skip` bytes that differ from file to file. */
interface Beginning {
  skip: number
  mark: Buffer
}

const beginnings: Record<string, Beginning> = {
  'config.json': { skip: 0, mark: Buffer.from('{\n  "format": "longwave"') },
  'model.safetensors': { skip: 8, mark: Buffer.from(`{"__metadata__":${JSON.stringify(ownMetadata)}`) },
  'train-log.jsonl': { skip: 0, mark: Buffer.from(JSON.stringify(logMark).slice(0, -1)) },
  state: { skip: 0, mark: stateMark },
}

/** What of a training run lies in a folder. */
export interface Found {
  /** The folder is there. */
  folder: boolean
  /** Files by their path. */
  own: Set<string>
  /** Of these, what goes with the model: the files of a tokenizer. */
  companions: string[]
  /** What a run that was killed left behind: whole files and parts of them that never got their name. */
  temporaries: string[]
}

/**
 * What lies in the folder of a run. Files are known as training's own by what they hold, so that nobody else's file is
 * replaced or removed because of its name. Errors: 73, one line that names the first file that is not, or what is no
 * folder.
 */
export async function findRunFiles(out: string): Promise<Found> {
  const found: Found = { folder: false, own: new Set(), companions: [], temporaries: [] }
  const entries = await list(out)
  if (!entries) return found
  found.folder = true
  const { checkpoint, config } = runFiles(out)
  const sums = await companionSums(config)
  for (const entry of entries) {
    const path = join(out, entry.name)
    if (path === checkpoint && entry.isDirectory()) {
      for (const inner of (await list(checkpoint)) ?? [])
        if (!(inner.isFile() && (await take(found, checkpoint, inner.name, ['state']))))
          throw foreign(join(checkpoint, inner.name))
      found.own.add(checkpoint)
    } else if (
      !(
        entry.isFile() &&
        ((await take(found, out, entry.name, ofFolder)) || (await takeCompanion(found, path, entry.name, sums)))
      )
    )
      throw foreign(path)
  }
  return found
}

const ofFolder = ['config.json', 'model.safetensors', 'train-log.jsonl']

const temporaryName = /^(.+)\.[0-9a-f]{8}(\.tmp)$/

/** Notes a file that is training's own. */
async function take(found: Found, folder: string, name: string, names: string[]): Promise<boolean> {
  const path = join(folder, name)
  const [, named = name, temporary] = temporaryName.exec(name) ?? []
  if (!names.includes(named)) return false
  const begins = await beginsLike(path, beginnings[named])
  if (temporary) {
    if (begins === 'otherwise') return false
    found.temporaries.push(path)
    return true
  }
  if (!(await isOwn(path, named, begins))) return false
  found.own.add(path)
  return true
}

/** SHA-256 of what goes with the finished model of a folder, by name. */
async function companionSums(config: string): Promise<Record<string, unknown>> {
  return (await trainedConfig(config))?.files ?? {}
}

/** Notes a file that goes with the model: a whole one by its sum, one that a killed run was writing by the name of it. */
async function takeCompanion(
  found: Found,
  path: string,
  name: string,
  sums: Record<string, unknown>,
): Promise<boolean> {
  const [, named = name, temporary] = temporaryName.exec(name) ?? []
  if (!Object.hasOwn(sums, named)) return false
  if (temporary) found.temporaries.push(path)
  else if (sha256Of(await readFile(path)) === sums[named]) {
    found.own.add(path)
    found.companions.push(path)
  } else return false
  return true
}

type Begins = 'so' | 'so, cut off' | 'otherwise'

async function isOwn(path: string, name: string, begins: Begins): Promise<boolean> {
  // People edit it (docs/training.md), so its layout does not count.
  if (name === 'config.json') return (await trainedConfig(path)) !== null
  // Appended to, so that a kill can cut it off in its first line.
  if (name === 'train-log.jsonl') return begins !== 'otherwise'
  return begins === 'so'
}

/** What the config of a trained model says of its training; null for any other file, or none. */
async function trainedConfig(path: string): Promise<{ files?: Record<string, unknown> } | null> {
  try {
    const { format, training } = JSON.parse(await readFile(path, 'utf8'))
    return format === 'longwave' && typeof training === 'object' ? training : null
  } catch {
    return null
  }
}

/** A file that is cut off inside its mark begins `so, cut off`. */
async function beginsLike(path: string, { skip, mark }: Beginning): Promise<Begins> {
  let file: FileHandle
  try {
    file = await open(path)
  } catch (error) {
    throw cannotLook(path, error)
  }
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(skip + mark.length), 0, skip + mark.length, 0)
    const part = buffer.subarray(skip, Math.max(skip, bytesRead))
    if (!part.equals(mark.subarray(0, part.length))) return 'otherwise'
    return part.length === mark.length ? 'so' : 'so, cut off'
  } finally {
    await file.close()
  }
}

async function list(folder: string) {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw cannotLook(folder, error)
  }
}

const foreign = (path: string) =>
  new UserError(
    `${path}: training did not make this, and --out takes nothing else: move it, or choose another --out`,
    exitCodes.cannotCreate,
  )

function cannotLook(path: string, error: unknown): UserError {
  const { code, message } = error as NodeJS.ErrnoException
  return new UserError(`${path}: ${code === 'ENOTDIR' ? 'not a folder' : message}`, exitCodes.cannotCreate)
}
