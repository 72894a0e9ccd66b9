import type { ByteReader } from '../byte-reader.js'
import { riffIds } from './format.js'
import { isId, latin1, passPad, u32 } from './riff.js'
import { framesIn, type WavFormat } from './wav-format.js'

/** Seconds of samples that are worth a warning: a word takes longer. */
const worthSaying = 0.1

/**
 * What is behind the samples and may be audio that is not read, for a warning: another file, a second `data` chunk, or
 * bytes that are no chunk. Other chunks and zero bytes are passed over. The reader stands behind `bytes` of samples.
 */
export async function whatFollows(reader: ByteReader, format: WavFormat, bytes: number): Promise<string | undefined> {
  const { littleEndian, rate } = format
  const seconds = (length: number) => framesIn(format, length) / rate
  for (let before = bytes; ; ) {
    if (before % 2 === 1) await passPad(reader)
    const start = reader.position
    const head = Uint8Array.from(await reader.peek(8))
    const id = latin1(head.subarray(0, 4))
    if (riffIds.includes(id)) return `another WAV file begins at byte ${start}: it is not read`
    const size = head.length === 8 && isId(id) ? u32(head, 4, littleEndian) : undefined
    if (id === 'data' && size !== undefined && seconds(size) >= worthSaying) {
      const length = `${size} bytes, ${seconds(size).toFixed(3)} s`
      return `a second 'data' chunk begins at byte ${start} (${length}): it is not read`
    }
    if (size !== undefined) await reader.skip(8)
    let marked = size !== undefined
    let read = 0
    for await (const block of reader.blocks(size)) {
      read += block.length
      marked ||= block.some((byte) => byte !== 0)
    }
    before = read
    if (size !== undefined && read === size) continue
    const left = reader.position - start
    if (!marked || seconds(left) < worthSaying) return undefined
    const cure = 'if the size in the header is wrong: ffmpeg -ignore_length 1 -i FILE NEW.wav'
    return `${left} bytes behind the samples are not read (${seconds(left).toFixed(3)} s if they are samples); ${cure}`
  }
}
