import { readSync } from 'node:fs'
import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader } from 'yauzl'
import { broken } from '../files.js'

/** A tensor has one, with its number for a name. */
const mostEntries = 2 ** 16
const longestName = 1000

/** Where something lies in a file, in bytes. */
export interface Place {
  begin: number
  bytes: number
}

/**
 * Where the entries of a zip file lie. Errors: 69, one line, for entries that are compressed or encrypted, lie over each other or outside
 * the file, or share a name, and for more of them than any checkpoint has.
 */
export async function zipEntries(path: string, fd: number, size: number): Promise<Map<string, Place>> {
  const places = new Map<string, Place>()
  const taken: (Place & { name: string })[] = []
  try {
    const zip = await fromRandomAccessReaderPromise(new FileReader(fd, size), size)
    if (zip.entryCount > mostEntries)
      throw broken(path, `holds ${zip.entryCount} entries, expected at most ${mostEntries}`)
    for await (const entry of zip.eachEntry()) {
      const { fileName: name, compressedSize: bytes, relativeOffsetOfLocalHeader: header } = entry
      checkStored(path, entry)
      if (places.has(name)) throw broken(path, `entry ${name} appears twice`)
      const { fileDataStart: begin } = await zip.readLocalFileHeaderPromise(entry, { minimal: true })
      places.set(name, { begin, bytes })
      taken.push({ name, begin: header, bytes: begin + bytes - header })
    }
  } catch (error) {
    if (error instanceof Error && error.name !== 'UserError')
      throw broken(path, `not a whole zip file: ${error.message}`)
    throw error
  }
  taken.sort((a, b) => a.begin - b.begin)
  for (const [i, { name, begin }] of taken.entries()) {
    if (i > 0 && begin < taken[i - 1].begin + taken[i - 1].bytes)
      throw broken(path, `entry ${name} overlaps ${taken[i - 1].name}`)
  }
  return places
}

function checkStored(path: string, entry: Entry): void {
  const { fileName, compressionMethod } = entry
  if (fileName.length > longestName) throw broken(path, `an entry has a name of ${fileName.length} characters`)
  if (entry.isEncrypted()) throw broken(path, `entry ${fileName} is encrypted`)
  if (compressionMethod !== 0) throw broken(path, `entry ${fileName} is compressed, which torch.save never does`)
}

/** yauzl's own reader hands any position of the directory to fs.read, whose exception for one above 2^53 nobody can catch. */
class FileReader extends RandomAccessReader {
  constructor(
    private readonly fd: number,
    private readonly size: number,
  ) {
    super()
  }

  override read(into: Buffer, offset: number, length: number, position: number, done: (error: Error | null) => void) {
    const whole = position + length <= this.size && readSync(this.fd, into, offset, length, position) === length
    done(whole ? null : new Error(`nothing at byte ${position}`))
  }
}
