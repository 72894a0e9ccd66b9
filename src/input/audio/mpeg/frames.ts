import type { ByteReader } from '../../byte-reader.js'
import { passId3 } from '../id3.js'
import { latin1 } from '../riff.js'
import { type FrameHeader, headerBytes, isAlike, longestFrame, parseHeader } from './header.js'

export interface Frame {
  header: FrameHeader
  bytes: Uint8Array
  /** Bytes in front of it that are no frame and no tag. */
  passed: number
}

/** Finds the frames of MPEG audio: what begins as one is one if another follows where it ends. */
export class FrameReader {
  /** Bytes behind the last frame that are no frame and no tag. */
  left = 0
  /** Whether it ended inside a frame. */
  isCutOff = false
  private last: FrameHeader | undefined

  constructor(private readonly reader: ByteReader) {}

  async next(): Promise<Frame | undefined> {
    const { reader } = this
    for (let passed = 0; ; ) {
      const bytes = await reader.peek(longestFrame + headerBytes)
      const header = parseHeader(bytes, 0)
      const isExpected = passed === 0 && header && this.last && isAlike(header, this.last)
      if (header && (isExpected || isFollowed(bytes, header))) {
        if (bytes.length < header.bytes) {
          this.isCutOff = true
          return undefined
        }
        this.last = header
        return { header, bytes: await reader.take(header.bytes), passed }
      }
      if (bytes.length === 0) {
        this.left = passed
        return undefined
      }
      if (await passTag(reader, bytes)) continue
      // Zeros in front of the first frame fill up the space that was left for a tag.
      const isDamage = this.last !== undefined || bytes[0] !== 0
      const next = bytes.indexOf(0xff, 1)
      const skipped = await reader.skip(next < 0 ? bytes.length : next)
      if (isDamage) passed += skipped
    }
  }
}

/** Whether another frame, a tag or nothing comes behind this one. */
function isFollowed(bytes: Uint8Array, header: FrameHeader): boolean {
  if (bytes.length === header.bytes) return true
  const next = parseHeader(bytes, header.bytes)
  return (next && isAlike(next, header)) || isTag(bytes, header.bytes)
}

const isTag = (bytes: Uint8Array, at: number) =>
  ['ID3', 'TAG', 'APETAGEX'].some((tag) => latin1(bytes.subarray(at, at + tag.length)) === tag)

/** Passes over a tag, which stands in front of a file or behind it; returns whether there was one. */
async function passTag(reader: ByteReader, bytes: Uint8Array): Promise<boolean> {
  if (!isTag(bytes, 0)) return false
  if (bytes[0] === 0x49) await passId3(reader)
  else if (bytes[0] === 0x54) await reader.skip(128)
  // An APE tag: 32 bytes of header or footer; the header comes before as many bytes as it says.
  else await reader.skip(32 + (bytes.length >= 32 && bytes[23] & 0x20 ? Buffer.from(bytes).readUInt32LE(12) : 0))
  return true
}
