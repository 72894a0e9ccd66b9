import type { ByteReader } from '../byte-reader.js'
import { FileProblem } from '../problem.js'
import { isId, latin1, passPad, u32 } from './riff.js'
import { framesIn, parseFormat, type WavFormat } from './wav-format.js'

/** Where the samples are: the reader stands at the first byte of them. */
export interface WavData {
  format: WavFormat
  /** Bytes of samples that the header promises; undefined: all up to the end (written into a pipe). */
  bytes: number | undefined
  /** Frames in these bytes, without those that only fill up the last block of ADPCM. */
  frames: number | undefined
  /** Frames to expect where it is not their bytes that the header counts: more or fewer may come. */
  expected?: number
}

/** More of a `fmt ` chunk than any format uses. */
const maxFormatBytes = 4096

/**
 * What programs write for a size that they do not know yet: ffmpeg into a pipe all ones, sox and arecord about 2^31.
 */
const isOpen = (size: number) => size >= 0xffffff00 || (size >= 0x7fff0000 && size <= 0x80000000)

/**
 * Walks the chunks of a RIFF, RIFX (big-endian), RF64 or BW64 file up to its samples and passes over those it does not
 * need. `fileBytes`: the length of the file, where it is known. `warn` takes contradictions in the header. Errors
 * (FileProblem 65): anything that hides the samples.
 */
export async function findSamples(
  reader: ByteReader,
  warn: (text: string) => void,
  fileBytes?: number,
): Promise<WavData> {
  const head = await reader.take(12)
  if (head.length < 12) throw new FileProblem(`a WAV file that ends after ${head.length} bytes, expected its header`)
  const riff = latin1(head.subarray(0, 4))
  const kind = latin1(head.subarray(8, 12))
  if (kind !== 'WAVE') throw new FileProblem(`a ${riff} file of type '${printable(kind)}', expected 'WAVE'`)
  const littleEndian = riff !== 'RIFX'
  const riffSize = u32(head, 4, littleEndian)

  let format: WavFormat | undefined
  let factFrames: number | undefined
  let size64: number | undefined
  for (;;) {
    const start = reader.position
    const header = await reader.take(8)
    if (header.length < 8)
      throw new FileProblem(`ends after ${reader.position} bytes, without samples (no 'data' chunk)`)
    const id = latin1(header.subarray(0, 4))
    const size = u32(header, 4, littleEndian)
    if (!isId(id)) throw new FileProblem(`expected a chunk of WAV at byte ${start}, not '${printable(id)}'`)

    if (id === 'data') {
      if (!format) throw new FileProblem(`samples in front of their format (no 'fmt ' chunk before 'data')`)
      const promised = size === 0xffffffff && size64 ? size64 : size
      const open =
        promised === size && (isOpen(size) || (size === 0 && !(await followed(reader, riffSize, littleEndian))))
      if (open) return { format, bytes: undefined, frames: undefined }
      const wrapped = promised === size ? wrappedBytes(reader.position, size, riffSize, fileBytes) : 0
      if (wrapped > 0)
        warn(`the size in its header is wrapped at 4 GiB: read as ${promised + wrapped} bytes of samples`)
      const bytes = promised + wrapped
      return { format, bytes, frames: wholeFrames(format, bytes, factFrames) }
    }
    const wanted = { 'fmt ': maxFormatBytes, ds64: 28, fact: 4 }[id] ?? 0
    const body = await reader.take(Math.min(size, wanted))
    const skipped = await reader.skip(size - body.length)
    if (body.length + skipped < size) {
      throw new FileProblem(`ends after ${reader.position} bytes, inside the '${id}' chunk and without samples`)
    }
    if (id === 'fmt ' && !format) {
      format = parseFormat(body, littleEndian)
      if (format.contradiction) warn(format.contradiction)
    }
    if (id === 'fact' && body.length === 4) factFrames = u32(body, 0, littleEndian)
    if (id === 'ds64' && body.length >= 16) size64 = Number(dataView(body).getBigUint64(8, littleEndian))
    if (size % 2 === 1) await passPad(reader)
  }
}

/** Whether an empty `data` chunk is one: another chunk follows and fits the file. Else its size was not known yet. */
async function followed(reader: ByteReader, riffSize: number, littleEndian: boolean): Promise<boolean> {
  const next = Uint8Array.from(await reader.peek(8))
  if (next.length < 8 || !isId(latin1(next.subarray(0, 4)))) return false
  return reader.position + 8 + u32(next, 4, littleEndian) <= riffSize + 8
}

/**
 * Bytes of samples beyond the size in the header, a multiple of 4 GiB, where a program wrote what was left of a larger
 * one in 32 bits. Not those of another file behind this one: either size must fit to the end of the file.
 */
function wrappedBytes(start: number, size: number, riffSize: number, fileBytes = 0): number {
  const beyond = fileBytes - start - size
  const fits = beyond % 2 ** 32 === 0 || (fileBytes - 8 - riffSize) % 2 ** 32 === 0
  return beyond > 0 && fits ? beyond - (beyond % 2 ** 32) : 0
}

/** A `fact` chunk says how many frames of the last block of ADPCM count. Some programs write nonsense there. */
function wholeFrames(format: WavFormat, bytes: number, factFrames: number | undefined): number {
  const held = framesIn(format, bytes)
  return factFrames && factFrames < held && factFrames > held - format.blockFrames ? factFrames : held
}

const dataView = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
const printable = (text: string) => text.replace(/[^\x20-\x7e]/g, '?')
