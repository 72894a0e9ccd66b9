import { createHash } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { deserialize, serialize } from 'node:v8'

/** Bytes before the value: its SHA-256. */
const digestBytes = 32

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** Writes a value in place of the one that the file holds: whoever reads it finds the one or the other. `fresh`: a name to begin it under. */
export async function writeSealed(path: string, fresh: string, value: unknown): Promise<void> {
  const bytes = serialize(value)
  await writeFile(fresh, Buffer.concat([digestOf(bytes), bytes]))
  await rename(fresh, path)
}

/** null: there is none, or it is not whole. */
export async function readSealed(path: string): Promise<unknown> {
  const saved = await readFile(path).catch(() => null)
  if (!saved || saved.length < digestBytes) return null
  const bytes = saved.subarray(digestBytes)
  return digestOf(bytes).equals(saved.subarray(0, digestBytes)) ? deserialize(bytes) : null
}
