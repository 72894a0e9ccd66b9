import { open, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { exitCodes, UserError } from '../errors.js'

/** A file to read. */
export interface InputFile {
  path: string
  /** Its path below the folder that was named in its place; of a file that was named itself, its own name. */
  name: string
}

/** What a model reads. */
export interface Readable {
  /** Many of them, for messages. */
  plural: string
  /** Whether a file that begins with these bytes is one; `headLength` bytes, or all of a shorter file. */
  is(head: Uint8Array): boolean
}

/** Bytes from the start of a file that are enough to tell what it is. */
const headLength = 4096

/**
 * The files that input paths stand for: themselves, and in the place of a folder the files below it that can be read, told
 * by their first bytes, in the order of their names. Hidden files and folders are passed over, links to folders too;
 * `note` is told of other files. Errors: 66 for a folder that has none, or may not be read.
 */
export async function inputFiles(
  paths: readonly string[],
  readable: () => Promise<Readable>,
  note: (line: string) => void,
): Promise<InputFile[]> {
  const files: InputFile[] = []
  for (const path of paths) {
    if (path !== '-' && (await isFolder(path)))
      for (const file of await filesBelow(path, await readable(), note)) files.push(file)
    else files.push({ path, name: basename(path) })
  }
  return files
}

async function filesBelow(folder: string, readable: Readable, note: (line: string) => void): Promise<InputFile[]> {
  const files: InputFile[] = []
  let others = 0
  for await (const name of namesBelow(folder, '')) {
    const path = join(folder, name)
    if (await isReadable(path, readable)) files.push({ path, name })
    else others++
  }
  const { plural } = readable
  const passed = `${others} other ${others === 1 ? 'file' : 'files'}`
  if (files.length === 0) {
    const found = others > 0 ? `, but ${passed}` : ''
    throw new UserError(`${folder}: no ${plural} in this folder${found}`, exitCodes.noInput)
  }
  if (others > 0) note(`${folder}: ${passed} passed over, which are no ${plural}`)
  return files
}

async function* namesBelow(folder: string, below: string): AsyncGenerator<string> {
  const path = join(folder, below)
  const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`${path}: this folder may not be read (${error.code})`, exitCodes.noInput)
  })
  entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue
    const name = join(below, entry.name)
    if (entry.isDirectory()) yield* namesBelow(folder, name)
    else yield name
  }
}

async function isReadable(path: string, { is }: Readable): Promise<boolean> {
  const found = await stat(path).catch(() => null)
  if (!found?.isFile()) return false
  const file = await open(path).catch(() => null)
  if (file === null) return true // reading it will say why not
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(headLength), 0, headLength, 0)
    return is(buffer.subarray(0, bytesRead))
  } finally {
    await file.close()
  }
}

const isFolder = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
