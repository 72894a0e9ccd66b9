import { ByteReader } from '../byte-reader.js'
import { FileProblem } from '../problem.js'
import type { Block, Opened } from './decoded.js'
import { openFlac } from './flac/read.js'
import { openMpeg } from './mpeg/read.js'
import { isReadable, openOgg } from './ogg/read.js'
import { floatFormat, inOneFormat } from './one-format.js'
import type { WavData } from './wav.js'

/** Opens a file at whose first byte the reader stands. */
type Open = (reader: ByteReader, warn: (text: string) => void) => Promise<Opened>

/** What decodes a format in this process; undefined: it is left to ffmpeg. `head`: how the file begins. */
export function decoderOf(format: string | undefined, head: Uint8Array): Open | undefined {
  if (format === 'FLAC') return openFlac
  if (format === 'MP3') return openMpeg
  return format === 'Ogg' && isReadable(head) ? openOgg : undefined
}

/**
 * The samples of a file as ffmpeg would give them: 32-bit float, with the rate and the channels that it has. `format`:
 * its name. Errors (FileProblem), here or while reading: 65 a header that is damaged, no sample.
 */
export async function decodeHere(
  open: Open,
  format: string,
  reader: ByteReader,
  warn: (text: string) => void,
): Promise<{ reader: ByteReader; data: WavData }> {
  const { expected, blocks } = await open(reader, warn)
  const first = await blocks.next()
  if (first.done) throw new FileProblem(`${format} without a sample in it: damaged, cut off or something else`)
  const samples = new ByteReader(bytes(first.value, blocks, reader))
  // What has begun can be closed.
  await samples.peek(1)
  return { reader: samples, data: { format: floatFormat(first.value), bytes: undefined, frames: undefined, expected } }
}

async function* bytes(first: Block, rest: AsyncGenerator<Block>, reader: ByteReader): AsyncGenerator<Uint8Array> {
  try {
    yield* inOneFormat(first, rest)
  } finally {
    await rest.return(undefined)
    await reader.close()
  }
}
