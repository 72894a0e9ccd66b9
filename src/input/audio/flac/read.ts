import type { ByteReader } from '../../byte-reader.js'
import { FileProblem } from '../../problem.js'
import { cutOff, Damage, longestHole } from '../damage.js'
import { type Block, lengthOf, type Opened, silence } from '../decoded.js'
import { type Frame, FrameDecoder } from './frame.js'
import { findHeader, parseHeader, type StreamInfo } from './header.js'
import { isFlac, readMetadata } from './metadata.js'

/** Bytes of the longest frame that is looked for: 8 channels of 65,535 samples of 32 bits, packed badly. */
const longestFrame = 1 << 22
/** Headers without a whole frame behind them; looking for its end costs time, and a forged file may be made of them. */
const mostFailures = 1000

/**
 * A FLAC file (RFC 9639), frame by frame; one behind another is read as well. Every frame says which samples it holds:
 * one that is damaged becomes silence, and those after it keep their time. Errors (FileProblem 65): no header, damage
 * throughout.
 */
export async function openFlac(reader: ByteReader, warn: (text: string) => void): Promise<Opened> {
  const info = await readMetadata(reader)
  return { expected: info.total || undefined, blocks: readFiles(reader, info, warn) }
}

async function* readFiles(reader: ByteReader, first: StreamInfo, warn: (text: string) => void): AsyncGenerator<Block> {
  const damage = new Damage()
  let seconds = 0
  for (let info = first; ; info = await readMetadata(reader)) {
    const file = new File(reader, info, damage, seconds)
    yield* file.blocks()
    if (file.seconds === 0) return
    if (damage.line && file.isLast) warn(damage.line)
    if (file.given < info.total) warn(cutOff(file.given, info.total, file.rate))
    if (file.isLast) return
    seconds = file.seconds
  }
}

/** The frames behind one header. */
class File {
  /** Samples handed out. */
  given = 0
  rate: number
  /** No other file follows. */
  isLast = true
  private readonly decoder: FrameDecoder
  /** The number of the sample that came first; undefined: none did. */
  private origin: number | undefined
  private failures = 0

  /** `start`: seconds in front of it. */
  constructor(
    private readonly reader: ByteReader,
    private readonly info: StreamInfo,
    private readonly damage: Damage,
    private readonly start: number,
  ) {
    this.rate = info.rate
    this.decoder = new FrameDecoder(info)
  }

  get seconds(): number {
    return this.start + this.given / this.rate
  }

  async *blocks(): AsyncGenerator<Block> {
    const { reader, info } = this
    const usual = info.largestFrame || Math.max(1024, info.largestBlock * info.channels * Math.ceil(info.bits / 8))
    let wanted = usual
    let isLost = false
    for (;;) {
      const bytes = await reader.peek(wanted)
      if (bytes.length === 0) break
      const frame = this.decoder.decode(bytes)
      if (frame === 'more' && bytes.length === wanted && wanted < longestFrame) {
        wanted *= 2
        continue
      }
      wanted = usual
      if (typeof frame !== 'string') {
        yield* this.inTime(frame, isLost)
        isLost = false
        await reader.skip(frame.bytes)
      } else if (isFlac(bytes)) {
        this.isLast = false
        break
      } else {
        isLost = true
        await reader.skip(this.damaged(bytes))
      }
    }
  }

  private *inTime({ header, block }: Frame, isLost: boolean): Generator<Block> {
    const { info } = this
    this.rate = header.rate
    const frameSamples = info.smallestBlock === info.largestBlock ? info.largestBlock : header.samples
    const start = header.isFixed ? header.number * frameSamples : header.number
    // Numbers count from the first frame, unless something in front of it was lost.
    this.origin ??= isLost ? 0 : start
    const missing = start - this.origin - this.given
    const isPlausible = missing <= longestHole * this.rate && (info.total === 0 || start - this.origin < info.total)
    const hole = missing > 0 && isPlausible ? missing : 0
    if (isLost || hole > 0) this.damage.add(this.seconds, hole / this.rate)
    yield* silence(block, hole)
    yield block
    this.given += hole + lengthOf(block)
    this.origin += missing - hole
  }

  /** Bytes up to where the next frame may begin. */
  private damaged(bytes: Uint8Array): number {
    if (parseHeader(bytes, 0, this.info) && ++this.failures > mostFailures) {
      throw new FileProblem(`FLAC that is damaged in more than ${mostFailures} places`)
    }
    return findHeader(bytes, 1, this.info)
  }
}
