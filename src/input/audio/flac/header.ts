/** What the block STREAMINFO says of a file (RFC 9639, 8.2). */
export interface StreamInfo {
  /** Samples in a frame; of a stream of fixed blocks only the last frame may have fewer. */
  smallestBlock: number
  largestBlock: number
  /** Bytes; 0: not known. */
  largestFrame: number
  rate: number
  channels: number
  bits: number
  /** Samples of each channel; 0: not known. */
  total: number
}

/** Bytes of STREAMINFO without its head. */
export const streamInfoBytes = 34

export function parseStreamInfo(bytes: Uint8Array): StreamInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const packed = view.getUint32(10)
  return {
    smallestBlock: view.getUint16(0),
    largestBlock: view.getUint16(2),
    largestFrame: view.getUint32(6) & 0xffffff,
    rate: packed >>> 12,
    channels: ((packed >>> 9) & 7) + 1,
    bits: ((packed >>> 4) & 31) + 1,
    total: (packed & 15) * 2 ** 32 + view.getUint32(14),
  }
}

/** How two channels are written: each for itself, or as a difference and one of left, right and mean. */
export type Stereo = 'independent' | 'left-side' | 'side-right' | 'mid-side'

export interface FrameHeader {
  /** Bytes of the header. */
  bytes: number
  samples: number
  rate: number
  channels: number
  stereo: Stereo
  bits: number
  /** Number of the frame in a stream of fixed blocks, else of its first sample. */
  number: number
  isFixed: boolean
}

/** The longest header there is: 4 bytes, 7 of a number, 2 of block size and of rate, a checksum. */
export const longestHeader = 16

const rates = [0, 88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000]
const depths = [0, 8, 12, undefined, 16, 20, 24, 32]
const stereos: Stereo[] = ['left-side', 'side-right', 'mid-side']

/** The header of a frame at a byte (RFC 9639, 9.1); undefined: there is none. */
export function parseHeader(bytes: Uint8Array, start: number, info: StreamInfo): FrameHeader | undefined {
  if (bytes[start] !== 0xff || (bytes[start + 1] & 0xfe) !== 0xf8) return undefined
  const sizeCode = bytes[start + 2] >> 4
  const rateCode = bytes[start + 2] & 15
  const layout = bytes[start + 3] >> 4
  const depth = depths[(bytes[start + 3] >> 1) & 7]
  if (sizeCode === 0 || rateCode === 15 || layout > 10 || depth === undefined || bytes[start + 3] & 1) return undefined
  let at = start + 4
  const lead = Math.clz32(~(bytes[at] << 24))
  if (lead === 1 || lead > 7) return undefined
  let number = lead === 0 ? bytes[at] : bytes[at] & (0x7f >> lead)
  for (at++; at < start + 4 + Math.max(1, lead); at++) {
    if (bytes[at] >> 6 !== 2) return undefined
    number = number * 64 + (bytes[at] & 63)
  }
  const u8 = () => bytes[at++]
  const u16 = () => u8() * 256 + u8()
  const samples =
    sizeCode === 1
      ? 192
      : sizeCode < 6
        ? 144 << sizeCode
        : sizeCode === 6
          ? u8() + 1
          : sizeCode === 7
            ? u16() + 1
            : 1 << sizeCode
  const rate =
    rateCode === 12
      ? u8() * 1000
      : rateCode === 13
        ? u16()
        : rateCode === 14
          ? u16() * 10
          : rates[rateCode] || info.rate
  if (at >= bytes.length || crc8(bytes, start, at) !== bytes[at] || rate === 0) return undefined
  return {
    bytes: at + 1 - start,
    samples,
    rate,
    channels: layout < 8 ? layout + 1 : 2,
    stereo: layout < 8 ? 'independent' : stereos[layout - 8],
    bits: depth || info.bits,
    number,
    isFixed: (bytes[start + 1] & 1) === 0,
  }
}

/** The first byte from `start` on where a frame may begin; the end of `bytes` if there is none. */
export function findHeader(bytes: Uint8Array, start: number, info: StreamInfo): number {
  for (let at = start; ; at++) {
    at = bytes.indexOf(0xff, at)
    if (at < 0) return bytes.length
    // What is cut off at the end may become one.
    if (bytes.length - at < longestHeader && (bytes[at + 1] ?? 0xf8) >> 1 === 0x7c) return at
    if (parseHeader(bytes, at, info)) return at
  }
}

const crc8 = (bytes: Uint8Array, from: number, to: number) => {
  let crc = 0
  for (let i = from; i < to; i++) crc = crc8Table[crc ^ bytes[i]]
  return crc
}

/** The checksum at the end of a frame. */
export function crc16(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0
  for (let i = from; i < to; i++) crc = ((crc << 8) & 0xffff) ^ crc16Table[(crc >> 8) ^ bytes[i]]
  return crc
}

const crc8Table = table(8, 0x07)
const crc16Table = table(16, 0x8005)

function table(width: number, polynomial: number): Uint16Array {
  const [top, mask] = [2 ** (width - 1), 2 ** width - 1]
  return Uint16Array.from({ length: 256 }, (_, byte) => {
    let crc = byte << (width - 8)
    for (let i = 0; i < 8; i++) crc = crc & top ? ((crc << 1) ^ polynomial) & mask : crc << 1
    return crc
  })
}
