import { stat } from 'node:fs/promises'
import { UserError } from '../../errors.js'
import { isLfsPointer, lfsPointer } from '../../text/git-lfs.js'
import { printable } from '../../text/printable.js'
import { ByteReader } from '../byte-reader.js'
import { readBytes, type Source, stdinName } from '../bytes.js'
import { foreignName } from '../format.js'
import { FileProblem, type InputProblem } from '../problem.js'
import { decodeHere, decoderOf } from './decode.js'
import { readThroughFfmpeg } from './ffmpeg.js'
import { audioFormat, audioMagicLength, isText, unknownFormat } from './format.js'
import { isId3, passId3 } from './id3.js'
import { MonoDecoder } from './pcm.js'
import { lowestRate, resample } from './resample.js'
import { findSamples, type WavData } from './wav.js'
import { framesIn } from './wav-format.js'
import { whatFollows } from './wav-rest.js'

export interface AudioOptions {
  /** The channel to read, from 1 (default: the mean of all). */
  channel?: number
  /** Seconds to pass over at the start (default 0). */
  offset?: number
  /** Seconds to read (default: to the end). */
  duration?: number
  /** Samples per second to hand out (default: those of the file). */
  rate?: number
  /** Takes warnings, as they come up. */
  report?: (problem: InputProblem) => void
}

/**
 * Mono samples, full scale at -1 and 1, piece by piece, to be read once: to the end, or until `close`. A piece is
 * overwritten when the next one is asked for.
 */
export interface Audio extends AsyncIterable<Float32Array> {
  readonly file: string
  /** Samples handed out per second. */
  readonly rate: number
  /** What the file holds: channels, frames per second, coding (`16-bit PCM`; what ffmpeg decodes is `32-bit float`). */
  readonly source: { channels: number; rate: number; coding: string }
  /** Samples that will come, going by the header, if it says how many; a file that is cut off has fewer. */
  readonly length: number | undefined
  /** Lets go of a file that is not read to its end. */
  close(): Promise<void>
}

/**
 * Opens a WAV, FLAC, MP3, Opus or Vorbis file (or `-`, standard input), or another format through ffmpeg. Memory stays
 * at a few blocks however long it is. What is accepted: docs/input.md. Errors (UserError), here or while reading: 65 not readable as audio, 66
 * no or unreadable file, 69 ffmpeg is needed and not installed, 74 reading broke off.
 */
export function readAudio(path: string, options: AudioOptions = {}): Promise<Audio> {
  return openAudio({ file: path === '-' ? stdinName : path, bytes: readBytes(path) }, options, path)
}

/** The same for bytes from anywhere. */
export function readAudioSource(source: Source, options: AudioOptions = {}): Promise<Audio> {
  return openAudio(source, options)
}

async function openAudio({ file, bytes }: Source, options: AudioOptions, path?: string): Promise<Audio> {
  const warn = (text: string) => options.report?.({ kind: 'warning', file, message: printable(`${file}: ${text}`) })
  let reader = new ByteReader(bytes)
  try {
    let head = await reader.peek(audioMagicLength)
    if (head.length === 0) throw new FileProblem('empty, expected audio')
    let format = audioFormat(head)
    if (isId3(head)) {
      await passId3(reader)
      head = await reader.peek(audioMagicLength)
      format = audioFormat(head) ?? format
    }
    if (format === undefined) {
      const foreign = foreignName(head)
      if (foreign) throw new FileProblem(`${foreign}, expected audio`)
      if (isLfsPointer(head)) throw new FileProblem(lfsPointer)
      if (isText(head)) throw new FileProblem(unknownFormat)
    }
    const plain = path === undefined || path === '-' ? undefined : await stat(path)
    // What we do not know comes through a pipe: it may be a playlist in disguise, which could name other files.
    const named = plain?.isFile() && format !== undefined ? path : undefined
    if (format === 'wav') {
      return streamOf(
        file,
        reader,
        await findSamples(reader, warn, plain?.isFile() ? plain.size : undefined),
        options,
        warn,
      )
    }
    const open = decoderOf(format, head)
    if (format && open) {
      const { reader: samples, data } = await decodeHere(open, format, reader, warn)
      return streamOf(file, samples, data, options, warn)
    }
    if (named) await reader.close()
    const decoded = await readThroughFfmpeg(named ?? reader.rest(), format, warn)
    reader = decoded.reader
    return streamOf(file, reader, decoded.data, options, warn)
  } catch (error) {
    await reader.close().catch(() => {})
    throw asUserError(file, error)
  }
}

/** The part of the file that is wanted, in frames, and what is made of it. */
interface Wanted {
  first: number
  end: number
  channel: number | undefined
  warn: (text: string) => void
}

function streamOf(file: string, reader: ByteReader, data: WavData, options: AudioOptions, warn: Wanted['warn']): Audio {
  const { format } = data
  const { channel, offset = 0, duration = Number.POSITIVE_INFINITY, rate = format.rate } = options
  if (channel !== undefined && !(Number.isInteger(channel) && channel >= 1 && channel <= format.channels)) {
    throw new FileProblem(`no channel ${channel}, expected 1 to ${format.channels}`)
  }
  if (rate !== format.rate && format.rate < lowestRate) {
    throw new FileProblem(`${format.rate} samples a second, expected at least ${lowestRate}: less holds no sound`)
  }
  const first = Math.round(offset * format.rate)
  const end = first + Math.round(duration * format.rate)
  const held = data.frames ?? data.expected
  const frames = held === undefined ? undefined : Math.max(0, Math.min(held, end) - first)
  const samples = resample(decode(file, reader, data, { first, end, channel, warn }), format.rate, rate)
  return {
    file,
    rate,
    source: { channels: format.channels, rate: format.rate, coding: format.name },
    length: frames === undefined ? undefined : Math.ceil((frames * rate) / format.rate),
    close: () => reader.close(),
    [Symbol.asyncIterator]: () => samples,
  }
}

/** The wanted samples at the rate of the file. */
async function* decode(file: string, reader: ByteReader, data: WavData, wanted: Wanted): AsyncGenerator<Float32Array> {
  const { format, bytes: promised = Number.POSITIVE_INFINITY } = data
  const { first, channel, warn } = wanted
  const end = Math.min(wanted.end, data.frames ?? wanted.end)
  const decoder = new MonoDecoder(format, channel)
  const seconds = (frames: number) => `${(frames / format.rate).toFixed(3)} s`
  let cancelled = false
  try {
    const before = Math.floor(first / format.blockFrames) * format.blockBytes
    let read = await reader.skip(Math.min(before, promised))
    const decoded = framesIn(format, read)
    let frame = decoded
    let rest: Uint8Array = new Uint8Array(0)
    const cut = (samples: Float32Array) => {
      const piece = samples.subarray(Math.max(0, first - frame), Math.max(0, Math.min(samples.length, end - frame)))
      frame += samples.length
      return piece
    }
    const wantedBytes = Math.ceil(wanted.end / format.blockFrames) * format.blockBytes
    const cancelling = () => {
      const from = decoder.cancellation?.from
      if (from === undefined || cancelled) return
      cancelled = true
      const cure = 'read one of them (--channel 1)'
      warn(`the channels cancel each other from ${seconds(decoded + from)} on, their mean is next to silence: ${cure}`)
    }
    for await (const block of reader.blocks(Math.min(promised, wantedBytes) - read)) {
      read += block.length
      const bytes = rest.length === 0 ? block : Buffer.concat([rest, block])
      const whole = bytes.length - (bytes.length % format.blockBytes)
      rest = Uint8Array.from(bytes.subarray(whole))
      const piece = cut(decoder.decode(bytes.subarray(0, whole)))
      cancelling()
      if (piece.length > 0) yield piece
    }
    if (frame < wanted.end) {
      const piece = cut(decoder.decode(rest))
      if (piece.length > 0) yield piece
      if (read < promised && data.frames !== undefined) {
        warn(`cut off: ${frame} of ${data.frames} samples read (${seconds(frame)} of ${seconds(data.frames)})`)
      } else if (format.blockFrames === 1 && rest.length > 0) {
        warn(`the last ${rest.length} bytes are not a whole sample`)
      }
      const more = read === promised ? await whatFollows(reader, format, read) : undefined
      if (more) warn(more)
      if (frame > 0 && frame <= first) warn(`ends after ${seconds(frame)}, nothing at the offset of ${seconds(first)}`)
    }
    if (frame === 0) warn('no samples')
    decoder.cancellation?.end()
    cancelling()
    const { damaged, firstDamaged } = decoder
    if (firstDamaged !== undefined) {
      const what = `${damaged} ${damaged === 1 ? 'sample is' : 'samples are'} no finite number or beyond +40 dB`
      const taken = decoder.cancellation ? 'left out of the mean' : 'read as 0'
      // A few are damage; many are samples of 16 bits that were written as floats without scaling them.
      const cure = damaged > 0.01 * frame ? '; if all is as loud: ffmpeg -i FILE -af volume=1/32768 NEW.wav' : ''
      warn(`${what}, the first at ${seconds(decoded + firstDamaged)}: ${taken}${cure}`)
    }
  } catch (error) {
    throw asUserError(file, error)
  } finally {
    await reader.close()
  }
}

function asUserError(file: string, error: unknown): unknown {
  return error instanceof FileProblem ? new UserError(printable(`${file}: ${error.message}`), error.exitCode) : error
}
