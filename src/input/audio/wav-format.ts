import { FileProblem } from '../problem.js'

/** How samples are written down. */
export type Coding = 'pcm' | 'float' | 'alaw' | 'mulaw' | 'ima-adpcm' | 'ms-adpcm'

/** What a `fmt ` chunk says, checked. */
export interface WavFormat {
  coding: Coding
  /** For messages: `24-bit PCM`. */
  name: string
  channels: number
  /** Frames (one sample of every channel) per second. */
  rate: number
  /** Bytes that decode on their own: one frame, or one block of ADPCM. */
  blockBytes: number
  /** Frames in a block: 1 unless ADPCM. */
  blockFrames: number
  /** Bytes that hold the sample itself, at the low end of its `blockBytes / channels`. 0 for ADPCM. */
  sampleBytes: number
  /** Where figures of the header contradict each other: which ones, and how it is read. */
  contradiction?: string
  littleEndian: boolean
  /** Pairs of prediction coefficients, MS ADPCM only. */
  coefficients: [number, number][]
}

/** Registered format tags (RFC 2361 and mmreg.h) that are read. */
const codings = new Map<number, Coding>([
  [0x0001, 'pcm'],
  [0x0002, 'ms-adpcm'],
  [0x0003, 'float'],
  [0x0006, 'alaw'],
  [0x0007, 'mulaw'],
  [0x0011, 'ima-adpcm'],
])

/** Tags that are recognised only to say what they are. */
const undecodable = new Map<number, string>([
  [0x0010, 'OKI ADPCM'],
  [0x0014, 'G.723 ADPCM'],
  [0x0020, 'Yamaha ADPCM'],
  [0x0022, 'TrueSpeech'],
  [0x0031, 'GSM 6.10'],
  [0x0040, 'G.721 ADPCM'],
  [0x0045, 'G.726 ADPCM'],
  [0x0050, 'MPEG audio'],
  [0x0055, 'MP3'],
  [0x0064, 'G.726 ADPCM'],
  [0x0092, 'AC-3'],
  [0x00ff, 'AAC'],
  [0x0161, 'Windows Media Audio'],
  [0x0162, 'Windows Media Audio'],
  [0x0163, 'Windows Media Audio'],
  [0x1610, 'AAC'],
  [0x2000, 'AC-3'],
  [0x2001, 'DTS'],
  [0x566f, 'Vorbis'],
  [0x674f, 'Vorbis'],
  [0x6751, 'Vorbis'],
  [0x704f, 'Opus'],
  [0xf1ac, 'FLAC'],
])

const extensible = 0xfffe
/** Ends of the sub-formats that have a format tag in front: Microsoft's, and those of B-format (ambisonics). */
const tagTails = ['0000-0010-800000aa00389b71', '0721-11d3-8644c8c1ca000000']

/** The seven pairs that every MS ADPCM file uses. */
const standardCoefficients: [number, number][] = [
  [256, 0],
  [512, -256],
  [0, 0],
  [192, 64],
  [240, 0],
  [460, -208],
  [392, -232],
]

/** Sampling rates beyond this come from damaged headers only. */
export const maxRate = 1_000_000

/** Reads the bytes of a `fmt ` chunk. Errors (FileProblem 65): a codec that is not decoded, figures that do not fit. */
export function parseFormat(bytes: Uint8Array, littleEndian: boolean): WavFormat {
  if (bytes.length < 16) throw new FileProblem(`a 'fmt ' chunk of ${bytes.length} bytes, expected at least 16`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const u16 = (at: number) => (at + 2 <= bytes.length ? view.getUint16(at, littleEndian) : 0)
  const i16 = (at: number) => (u16(at) << 16) >> 16
  const tag = u16(0) === extensible ? subFormat(view, littleEndian) : u16(0)
  const channels = u16(2)
  const rate = view.getUint32(4, littleEndian)
  const block = u16(12)
  const bits = u16(14)
  if (channels === 0) throw new FileProblem('0 channels, expected at least 1')
  if (rate === 0 || rate > maxRate) throw new FileProblem(`${rate} samples a second, expected 1 to ${maxRate}`)
  const coding = codings.get(tag)
  if (!coding) throw foreignCodec(tag)
  const base = { coding, channels, rate, littleEndian, coefficients: [] }

  if (coding === 'ima-adpcm' || coding === 'ms-adpcm') {
    const isIma = coding === 'ima-adpcm'
    const name = isIma ? 'IMA ADPCM' : 'MS ADPCM'
    const head = (isIma ? 4 : 7) * channels
    if (bits !== 4) throw new FileProblem(`${name} of ${bits} bits, expected 4`)
    if (block < head || (isIma && block % (4 * channels) !== 0) || littleEndian === false) {
      throw new FileProblem(`${name} in blocks of ${block} bytes for ${channels} channels, which do not fit`)
    }
    const blockFrames = framesInBlock(coding, channels, block)
    const pairs = Math.min(u16(20), 256)
    const coefficients = Array.from({ length: pairs }, (_, i): [number, number] => [i16(22 + 4 * i), i16(24 + 4 * i)])
    if (isIma) return { ...base, name, blockBytes: block, blockFrames, sampleBytes: 0 }
    const known = pairs > 0 ? coefficients : standardCoefficients
    return { ...base, name, blockBytes: block, blockFrames, sampleBytes: 0, coefficients: known }
  }

  const sampleBytes = Math.ceil(bits / 8)
  const name = { pcm: `${bits}-bit PCM`, float: `${bits}-bit float`, alaw: 'A-law', mulaw: 'mu-law' }[coding]
  const isKnown =
    coding === 'pcm' ? bits >= 1 && bits <= 64 : coding === 'float' ? bits === 32 || bits === 64 : bits === 8
  if (!isKnown) {
    const expected = { pcm: '1 to 64', float: '32 or 64', alaw: '8', mulaw: '8' }[coding]
    throw new FileProblem(`${coding} samples of ${bits} bits, expected ${expected}`)
  }
  // 24 bits in places of 4 bytes are written by real programs, which then also say so in the bytes a second.
  const isPadded = bits === 24 && block === 4 * channels && view.getUint32(8, littleEndian) === rate * block
  const blockBytes = isPadded ? block : sampleBytes * channels
  const frames = `${channels} ${channels === 1 ? 'channel' : 'channels'} of ${bits} bits`
  const contradiction =
    block === blockBytes || block === 0
      ? undefined
      : `the header says frames of ${block} bytes for ${frames}: read as frames of ${blockBytes}`
  return { ...base, name, blockBytes, blockFrames: 1, sampleBytes, contradiction }
}

/** Frames in so many bytes of one block, which may be cut off. */
function framesInBlock(coding: Coding, channels: number, bytes: number): number {
  if (coding === 'ima-adpcm') return bytes < 4 * channels ? 0 : 1 + 8 * Math.floor(bytes / (4 * channels) - 1)
  return bytes < 7 * channels ? 0 : 2 + Math.floor((2 * (bytes - 7 * channels)) / channels)
}

/** Frames in so many bytes of samples. */
export function framesIn({ coding, channels, blockBytes, blockFrames }: WavFormat, bytes: number): number {
  const blocks = Math.floor(bytes / blockBytes)
  if (blockFrames === 1) return blocks
  return blocks * blockFrames + framesInBlock(coding, channels, bytes % blockBytes)
}

/** A codec that is known by name at best. */
function foreignCodec(tag: number): FileProblem {
  const code = `0x${tag.toString(16).padStart(4, '0')}`
  const name = undecodable.get(tag)
  const found = name ? `${name} inside WAV (codec ${code})` : `codec ${code} inside WAV`
  const cure = 'convert it: ffmpeg -i FILE -c:a pcm_s16le NEW.wav'
  return new FileProblem(`${found}, expected PCM, float, A-law, mu-law, IMA or MS ADPCM; ${cure}`)
}

/**
 * The format tag that WAVE_FORMAT_EXTENSIBLE carries in front of its sub-format, a GUID in the byte order of the file.
 */
function subFormat(view: DataView, littleEndian: boolean): number {
  if (view.byteLength < 40) throw new FileProblem('WAVE_FORMAT_EXTENSIBLE without its sub-format')
  const hex = (number: number, digits: number) => number.toString(16).padStart(digits, '0')
  const tag = view.getUint32(24, littleEndian)
  const middle = [view.getUint16(28, littleEndian), view.getUint16(30, littleEndian)].map((part) => hex(part, 4))
  const end = Buffer.from(view.buffer, view.byteOffset + 32, 8).toString('hex')
  const tail = `${middle.join('-')}-${end}`
  if (!tagTails.includes(tail) || tag > 0xffff) throw new FileProblem(`unknown sub-format ${hex(tag, 8)}-${tail}`)
  return tag
}
