import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { UserError } from '../../../src/errors.js'
import { type Audio, type AudioOptions, readAudioSource } from '../../../src/input/audio/read.js'
import { concatenate } from '../../../src/runtime/concatenate.js'

export const folder = 'test/specimens/wav/'

const [columns, ...lines] = readFileSync(`${folder}expected.tsv`, 'utf8').replace(/\n$/, '').split('\n')

/** What every specimen must give: see test/specimens/wav/README.md for how the table was made. */
export const rows = lines.map((line) => {
  const cells = line.split('\t')
  return Object.fromEntries(columns.split('\t').map((column, i) => [column, cells[i]]))
})

/** The bytes of a specimen, which may be kept packed. */
export function specimen(name: string): Buffer {
  const path = folder + name
  return existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`))
}

export interface Decoded {
  audio?: Audio
  samples: Float32Array
  warnings: string[]
  error?: UserError
}

/** Reads blocks of bytes to the end or to a UserError; anything else that is thrown goes on. */
export async function decode(
  blocks: Iterable<Uint8Array>,
  options: AudioOptions = {},
  file = 'test',
): Promise<Decoded> {
  const decoded: Decoded = { samples: new Float32Array(0), warnings: [] }
  const report = ({ message }: { message: string }) => decoded.warnings.push(message)
  const pieces: Float32Array[] = []
  try {
    decoded.audio = await readAudioSource({ file, bytes: asStream(blocks) }, { report, ...options })
    for await (const piece of decoded.audio) pieces.push(piece.slice())
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    decoded.error = error
  }
  decoded.samples = concatenate(pieces)
  return decoded
}

async function* asStream(blocks: Iterable<Uint8Array>) {
  yield* blocks
}

export { concatenate as join }

/** Whether these are the same bytes (much faster than `toEqual` for long arrays). */
export function sameBytes(a: Float32Array, b: Float32Array): boolean {
  const bytes = (array: Float32Array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)
  return bytes(a).equals(bytes(b))
}

/** Cuts into random pieces, most of them small. */
export function cutUp<T extends Uint8Array | Float32Array>(whole: T, random: () => number): T[] {
  const pieces: T[] = []
  for (let at = 0; at < whole.length; ) {
    const length = Math.ceil(random() ** 4 * whole.length) || 1
    pieces.push(whole.subarray(at, at + length) as T)
    at += length
  }
  return pieces
}

/** A chunk as it stands in a file; `size` where the header is to say something else. */
export function chunk(id: string, body: Uint8Array, size = body.length): Buffer {
  const head = Buffer.alloc(8)
  head.write(id, 'latin1')
  head.writeUInt32LE(size, 4)
  return Buffer.concat([head, body, Buffer.alloc(body.length % 2)])
}

/** The body of a `fmt ` chunk. */
export function fmt(format: { tag?: number; channels?: number; rate?: number; bits?: number; block?: number }): Buffer {
  const { tag = 1, channels = 1, rate = 16000, bits = 16 } = format
  const block = format.block ?? (channels * bits) / 8
  const body = Buffer.alloc(16)
  body.writeUInt16LE(tag, 0)
  body.writeUInt16LE(channels, 2)
  body.writeUInt32LE(rate, 4)
  body.writeUInt32LE(rate * block, 8)
  body.writeUInt16LE(block, 12)
  body.writeUInt16LE(bits, 14)
  return body
}

/** A whole file of these chunks. */
export function riff(chunks: Uint8Array[], id = 'RIFF', size = chunks.reduce((sum, { length }) => sum + length, 4)) {
  const head = Buffer.alloc(12)
  head.write(id, 'latin1')
  head.writeUInt32LE(size, 4)
  head.write('WAVE', 8, 'latin1')
  return Buffer.concat([head, ...chunks])
}

/** 16-bit samples as bytes, least significant first. */
export function int16(samples: number[]): Buffer {
  const bytes = Buffer.alloc(2 * samples.length)
  for (const [i, sample] of samples.entries()) bytes.writeInt16LE(sample, 2 * i)
  return bytes
}
