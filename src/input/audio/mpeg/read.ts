import type { MPEGDecoder } from 'mpg123-decoder'
import type { ByteReader } from '../../byte-reader.js'
import { cutOff, Damage, longestHole } from '../damage.js'
import { type Block, lengthOf, type Opened, part, silence } from '../decoded.js'
import { fenced } from '../fenced.js'
import { type Frame, FrameReader } from './frames.js'
import { type InfoTag, parseInfoTag } from './info-tag.js'

/** Seconds of bytes behind the last frame that are worth a line. */
const worthSaying = 0.1

/**
 * MP3 and the other layers of MPEG audio, frame by frame, through libmpg123. What the encoder added at both ends is
 * left out, going by the tag in the first frame; a file behind the first is read as well. Frames have no numbers: bytes
 * that are none become as much silence as frames of that length would last.
 */
export async function openMpeg(reader: ByteReader, warn: (text: string) => void): Promise<Opened> {
  const frames = new FrameReader(reader)
  const first = await frames.next()
  if (!first) return { expected: undefined, blocks: nothing() }
  const tag = parseInfoTag(first.bytes, first.header)
  const added = tag?.added.reduce((sum, [from, to]) => sum + to - from, 0) ?? 0
  const expected = tag?.decoded === undefined ? undefined : Math.max(0, tag.decoded - added)
  return { expected, blocks: readFrames(frames, first, expected, warn) }
}

async function* nothing(): AsyncGenerator<Block> {}

async function* readFrames(
  frames: FrameReader,
  first: Frame,
  expected: number | undefined,
  warn: (text: string) => void,
): AsyncGenerator<Block> {
  const { MPEGDecoder } = await import('mpg123-decoder')
  const decoder = new MPEGDecoder({ enableGapless: false })
  await decoder.ready
  const recording = new Recording()
  const damage = new Damage()
  const { rate, channels, samples } = first.header
  /** Bytes and number of the frames so far. */
  let [bytes, count] = [0, 0]
  try {
    for (let frame: Frame | undefined = first; frame; frame = await frames.next()) {
      if (frame.passed > 0) {
        const lost = count === 0 ? 0 : Math.round((frame.passed * count) / bytes) * samples
        const hole = lost <= longestHole * rate ? lost : 0
        damage.add(recording.given / rate, hole / rate)
        const like = { rate, channels: new Array(channels) }
        for (const block of silence(like, hole)) yield* recording.take(block)
      }
      const tag = parseInfoTag(frame.bytes, frame.header)
      if (tag) {
        // Another file: nothing of the one before is left in the decoder.
        if (count > 0) await fenced(() => decoder.reset())
        recording.begin(tag)
        continue
      }
      const block = await decodeFrame(decoder, frame)
      if (!block.isWhole) damage.add(recording.given / rate, frame.header.samples / frame.header.rate)
      yield* recording.take(block)
      bytes += frame.header.bytes
      count++
    }
  } finally {
    await fenced(() => decoder.free())
  }
  if (count === 0) return
  const left = (frames.left * count * samples) / bytes / rate
  if (damage.line) warn(damage.line)
  else if (expected !== undefined && recording.given < expected) warn(cutOff(recording.given, expected, rate))
  else if (frames.isCutOff) warn(`cut off inside a frame, after ${(recording.given / rate).toFixed(3)} s`)
  if (left >= worthSaying) warn(`${frames.left} bytes behind the last frame are no MP3: they are not read`)
}

/** All samples of a frame; those that cannot be decoded are silence. */
async function decodeFrame(decoder: MPEGDecoder, { header, bytes }: Frame): Promise<Block & { isWhole: boolean }> {
  const { rate, samples, channels } = header
  const decoded = await fenced(() => decoder.decodeFrame(bytes))
  // The decoder gives two channels, also of one.
  if (decoded?.samplesDecoded === samples)
    return { rate, channels: decoded.channelData.slice(0, channels), isWhole: true }
  return { rate, channels: Array.from({ length: channels }, () => new Float32Array(samples)), isWhole: false }
}

/** Leaves out what an encoder added to a recording. */
class Recording {
  /** Samples handed out, of all recordings. */
  given = 0
  /** Samples decoded, of this one. */
  private decoded = 0
  private added: [number, number][] = []

  begin({ added }: InfoTag): void {
    this.added = added
    this.decoded = 0
  }

  *take(block: Block): Generator<Block> {
    const length = lengthOf(block)
    let at = 0
    for (const [from, to] of [...this.added, [Number.POSITIVE_INFINITY, 0]]) {
      const piece = part(block, at, Math.min(length, from - this.decoded))
      this.given += lengthOf(piece)
      if (lengthOf(piece) > 0) yield piece
      at = Math.max(at, to - this.decoded)
    }
    this.decoded += length
  }
}
