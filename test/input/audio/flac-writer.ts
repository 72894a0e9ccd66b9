/** How the samples of a frame are written down, so that a reader meets each of the ways there are. */
export interface FlacOptions {
  rate?: number
  bits?: number
  /** Samples in a frame. */
  block?: number
  stereo?: 'independent' | 'left-side' | 'side-right' | 'mid-side'
  coding?: 'constant' | 'verbatim' | 'fixed' | 'linear'
  order?: number
  /** Low bits that are 0 in every sample. */
  wasted?: number
  /** Partitions of the residual: 2 ** this many. */
  partitions?: number
  /** Bits of a Rice code, or plain numbers of that many bits. */
  rice?: number
  isPlain?: boolean
  /** 5 bits for a Rice parameter instead of 4. */
  wide?: boolean
  /** Frames count samples, not frames. */
  isVariable?: boolean
  /** The number of the first frame. */
  first?: number
  /** What the header says; undefined: the truth. */
  total?: number
}

export interface Flac {
  head: Buffer
  frames: Buffer[]
  bytes: Buffer
}

/** A FLAC file of these samples `[channel][time]`, whole numbers of `bits` bits (RFC 9639). */
export function writeFlac(channels: number[][], options: FlacOptions = {}): Flac {
  const { rate = 16_000, bits = 16, block = 256, isVariable = false, first = 0 } = options
  const length = channels[0].length
  const frames: Buffer[] = []
  for (let at = 0; at < length; at += block) {
    const number = isVariable ? first + at : first + at / block
    const samples = channels.map((channel) => channel.slice(at, at + block))
    frames.push(writeFrame(samples, number, options))
  }
  const info = new BitWriter()
  for (const [value, width] of [[block, 16], [block, 16], [0, 24], [0, 24], [rate, 20], [channels.length - 1, 3], [bits - 1, 5],
    [options.total ?? length, 36], [0, 128]]) info.put(value, width) // biome-ignore format: a list
  const head = Buffer.concat([Buffer.from('fLaC\x80\0\0\x22', 'latin1'), info.bytes()])
  return { head, frames, bytes: Buffer.concat([head, ...frames]) }
}

/** The head with other blocks behind STREAMINFO: tags, pictures. */
export function withBlocks(head: Buffer, bodies: Buffer[]): Buffer {
  const parts = [Buffer.from('fLaC\0\0\0\x22', 'latin1'), head.subarray(8)]
  for (const [i, body] of bodies.entries()) {
    const start = Buffer.alloc(4)
    start.writeUInt32BE(body.length)
    start[0] = i === bodies.length - 1 ? 0x86 : 6
    parts.push(start, body)
  }
  return Buffer.concat(parts)
}

const depths: Record<number, number> = { 8: 1, 12: 2, 16: 4, 20: 5, 24: 6, 32: 7 }
const stereos = { independent: 0, 'left-side': 8, 'side-right': 9, 'mid-side': 10 }

function writeFrame(samples: number[][], number: number, options: FlacOptions): Buffer {
  const { bits = 16, stereo = 'independent', isVariable = false } = options
  const writer = new BitWriter()
  writer.put(isVariable ? 0xfff9 : 0xfff8, 16)
  // The size in 16 bits, the rate of the header.
  writer.put(0x70, 8)
  writer.put(stereo === 'independent' ? samples.length - 1 : stereos[stereo], 4)
  writer.put(depths[bits] ?? 0, 3)
  writer.put(0, 1)
  for (const byte of coded(number)) writer.put(byte, 8)
  writer.put(samples[0].length - 1, 16)
  writer.put(checksum(writer.bytes(), 8, 0x07), 8)
  const difference = samples[0].map((left, i) => left - (samples[1]?.[i] ?? 0))
  const mean = samples[0].map((left, i) => Math.floor((left + (samples[1]?.[i] ?? 0)) / 2))
  const written = {
    independent: samples.map((channel) => [channel, bits] as const),
    'left-side': [[samples[0], bits], [difference, bits + 1]] as const,
    'side-right': [[difference, bits + 1], [samples[1], bits]] as const,
    'mid-side': [[mean, bits], [difference, bits + 1]] as const,
  }[stereo] // biome-ignore format: a table
  for (const [channel, width] of written) writeSubframe(writer, channel, width, options)
  writer.align()
  writer.put(0, 16)
  return sealed(writer.bytes())
}

/** The frame with a checksum at its end that is right. */
export function sealed(frame: Uint8Array): Buffer {
  const copy = Buffer.from(frame)
  copy.writeUInt16BE(checksum(copy.subarray(0, -2), 16, 0x8005), copy.length - 2)
  return copy
}

const fixed = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]]

function writeSubframe(writer: BitWriter, samples: readonly number[], bits: number, options: FlacOptions) {
  const { coding = 'verbatim', order = 2, wasted = 0 } = options
  const width = bits - wasted
  const values = samples.map((sample) => sample / 2 ** wasted)
  const type = { constant: 0, verbatim: 1, fixed: 8 + order, linear: 31 + order }[coding]
  writer.put(type, 7)
  writer.put(wasted > 0 ? 1 : 0, 1)
  if (wasted > 0) writer.put(1, wasted)
  if (coding === 'constant') return writer.put(values[0], width)
  if (coding === 'verbatim') {
    for (const value of values) writer.put(value, width)
    return
  }
  const shift = coding === 'fixed' ? 0 : 7
  const weights = coding === 'fixed' ? fixed[order] : Array.from({ length: order }, (_, i) => (i % 2 ? -35 : 40) - i)
  for (const value of values.slice(0, order)) writer.put(value, width)
  if (coding === 'linear') {
    writer.put(11, 4)
    writer.put(shift, 5)
    for (const weight of weights) writer.put(weight, 12)
  }
  const residual = values.slice(order).map((value, i) => {
    const sum = weights.reduce((total, weight, j) => total + weight * values[order + i - 1 - j], 0)
    return value - Math.floor(sum / 2 ** shift)
  })
  writeResidual(writer, residual, values.length, order, options)
}

function writeResidual(writer: BitWriter, residual: number[], length: number, order: number, options: FlacOptions) {
  const { partitions = 0, rice = 8, isPlain = false, wide = false } = options
  writer.put(wide ? 1 : 0, 2)
  writer.put(partitions, 4)
  for (let p = 0, at = 0; p < 2 ** partitions; p++) {
    const count = length / 2 ** partitions - (p === 0 ? order : 0)
    writer.put(isPlain ? (wide ? 31 : 15) : rice, wide ? 5 : 4)
    if (isPlain) writer.put(rice, 5)
    for (const value of residual.slice(at, at + count)) {
      if (isPlain) writer.put(value, rice)
      else {
        const folded = value >= 0 ? 2 * value : -2 * value - 1
        writer.put(1, Math.floor(folded / 2 ** rice) + 1)
        writer.put(folded % 2 ** rice, rice)
      }
    }
    at += count
  }
}

/** A number as UTF-8 has it, up to 36 bits. */
function coded(number: number): number[] {
  if (number < 0x80) return [number]
  let tail = 1
  while (number >= 2 ** (6 * tail + (6 - tail))) tail++
  const bytes = Array.from({ length: tail }, (_, i) => 0x80 | (Math.floor(number / 64 ** (tail - 1 - i)) % 64))
  return [((0xff00 >> (tail + 1)) & 0xff) | Math.floor(number / 64 ** tail), ...bytes]
}

/** Bit by bit, unlike the reader's. */
function checksum(bytes: Uint8Array, width: number, polynomial: number): number {
  let crc = 0
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const top = Math.floor(crc / 2 ** (width - 1)) ^ ((byte >> bit) & 1)
      crc = ((crc * 2) % 2 ** width) ^ (top ? polynomial : 0)
    }
  }
  return crc
}

class BitWriter {
  private readonly whole: number[] = []
  private byte = 0
  private filled = 0

  /** The low `bits` of a number, negative ones in two's complement. */
  put(value: number, bits: number): void {
    const positive = value < 0 ? value + 2 ** bits : value
    for (let bit = bits - 1; bit >= 0; bit--) {
      this.byte = this.byte * 2 + (Math.floor(positive / 2 ** bit) % 2)
      if (++this.filled < 8) continue
      this.whole.push(this.byte)
      this.byte = this.filled = 0
    }
  }

  align(): void {
    if (this.filled > 0) this.put(0, 8 - this.filled)
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.whole)
  }
}
