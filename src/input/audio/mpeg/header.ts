/** What the header of an MPEG audio frame says (ISO 11172-3, 2.4.1.3; 13818-3 and "MPEG 2.5" for the lower rates). */
export interface FrameHeader {
  /** 1: rates from 32,000. 2 and 2.5: a half and a quarter of them. */
  version: 1 | 2 | 2.5
  layer: 1 | 2 | 3
  rate: number
  channels: 1 | 2
  /** Bytes of the whole frame. */
  bytes: number
  samples: number
}

export const headerBytes = 4
/** Bytes of the longest frame: layer I at 448 kbit/s and 32,000 samples a second, and layer II of MPEG 2.5. */
export const longestFrame = 2881

const versions = [2.5, undefined, 2, 1] as const
const rates = [44_100, 48_000, 32_000]
/** kbit/s of codes 1 to 14. */
const bitRates = {
  1: {
    1: [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    2: [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    3: [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  },
  2: {
    1: [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    2: [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    3: [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
  },
}

/** The header at a byte; undefined: there is none, or one of "free format", whose frames do not say how long they are. */
export function parseHeader(bytes: Uint8Array, at: number): FrameHeader | undefined {
  if (at + headerBytes > bytes.length || bytes[at] !== 0xff || bytes[at + 1] < 0xe0) return undefined
  const version = versions[(bytes[at + 1] >> 3) & 3]
  const layer = (4 - ((bytes[at + 1] >> 1) & 3)) as 1 | 2 | 3 | 4
  const code = bytes[at + 2] >> 4
  const fullRate = rates[(bytes[at + 2] >> 2) & 3]
  if (version === undefined || layer === 4 || code === 0 || code === 15 || fullRate === undefined) return undefined
  const rate = fullRate / { 1: 1, 2: 2, 2.5: 4 }[version]
  const bitsPerSecond = 1000 * bitRates[version === 1 ? 1 : 2][layer][code - 1]
  const padding = (bytes[at + 2] >> 1) & 1
  const samples = layer === 1 ? 384 : layer === 3 && version !== 1 ? 576 : 1152
  // Layer I counts in units of 4 bytes.
  const unit = layer === 1 ? 4 : 1
  const length = unit * (Math.floor(((samples / 8 / unit) * bitsPerSecond) / rate) + padding)
  return { version, layer, rate, channels: bytes[at + 3] >> 6 === 3 ? 1 : 2, bytes: length, samples }
}

/** Whether one frame can follow the other: what stays the same in a stream. */
export const isAlike = (a: FrameHeader, b: FrameHeader) =>
  a.version === b.version && a.layer === b.layer && a.rate === b.rate
