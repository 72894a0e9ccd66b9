import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setImmediate } from 'node:timers/promises'
import { exitCodes } from '../../errors.js'
import { rememberChild } from '../../runtime/children.js'
import { ByteReader } from '../byte-reader.js'
import { FileProblem } from '../problem.js'
import { Messages, noSound } from './ffmpeg-messages.js'
import { unknownFormat } from './format.js'
import { FrameTimes, inTime } from './frame-times.js'
import { findSamples, type WavData } from './wav.js'

/**
 * Containers whose time 0 is the start of what is shown, also where nothing begins there. Others may start at any
 * number: they count from their first picture or sample.
 */
const countFromZero = ['MP4 (M4A)', 'QuickTime', 'Matroska or WebM']

/**
 * The first sound track of a file in any format that `ffmpeg` knows, as 32-bit float samples with the rate and the
 * channels that it has, each at its time in the container. `input`: a path, or the bytes themselves. `format`: its
 * name; undefined: ffmpeg is to find out. `warn` takes what ffmpeg passed over: a file that is damaged or cut off in
 * its middle is no failure to it. Errors (FileProblem), here or while reading: 69 no ffmpeg, 65 it cannot read this or
 * finds no sample in it, 74 it was killed.
 */
export async function readThroughFfmpeg(
  input: string | AsyncIterable<Uint8Array>,
  format: string | undefined,
  warn: (text: string) => void,
): Promise<{ reader: ByteReader; data: WavData }> {
  const from = typeof input === 'string' ? `file:${input}` : 'pipe:0'
  const said: Said = { messages: new Messages(from), times: new FrameTimes(warn), sampleBytes: 0 }
  const wav = new ByteReader(decode(input, from, format, said, warn))
  try {
    const data = await findSamples(wav, warn)
    // The first frame is reported before the first byte is written. Without a report, times are not known.
    await setImmediate()
    if (format === undefined && said.messages.guessed) throw new FileProblem(unknownFormat)
    const blocks = counted(wav.rest(), said)
    const { times } = said
    return { reader: new ByteReader(times.known > 0 ? inTime(blocks, times, data.format.blockBytes) : blocks), data }
  } catch (error) {
    await wav.close()
    throw error
  }
}

/** What is known of a run of ffmpeg besides the bytes that it writes. */
interface Said {
  messages: Messages
  times: FrameTimes
  /** Bytes behind the header. */
  sampleBytes: number
}

/** The bytes of a WAV file. */
async function* decode(
  input: string | AsyncIterable<Uint8Array>,
  from: string,
  format: string | undefined,
  said: Said,
  warn: (text: string) => void,
): AsyncGenerator<Uint8Array> {
  const { messages, times } = said
  const ffmpeg = spawn('ffmpeg', commandLine(from, format))
  rememberChild(ffmpeg)
  try {
    await started(ffmpeg, format)
    const closed = once(ffmpeg, 'close') as Promise<[number | null, NodeJS.Signals | null]>
    closed.catch(() => {}) // it is awaited at the end, or not at all
    createInterface(ffmpeg.stderr)
      .on('line', (line) => times.take(line) || messages.take(line))
      .on('close', () => times.end())
    let failure: unknown
    feed(ffmpeg, input).catch((error) => {
      failure = error
    })
    yield* ffmpeg.stdout
    const [code, signal] = await closed
    if (failure) throw failure
    if (signal) throw new FileProblem(`ffmpeg was killed (${signal})`, exitCodes.io)
    if (code !== 0 || said.sampleBytes === 0) throw unreadable(format, said, code)
    if (messages.damage) warn(`damaged or cut off: ffmpeg reads what it can (${messages.damage})`)
  } finally {
    ffmpeg.kill('SIGKILL')
  }
}

async function* counted(blocks: AsyncIterable<Uint8Array>, said: Said): AsyncGenerator<Uint8Array> {
  for await (const block of blocks) {
    said.sampleBytes += block.length
    yield block
  }
}

function commandLine(from: string, format: string | undefined): string[] {
  // `level` marks the lines, `repeat` leaves none out; `info` has the times of the frames and what the streams are.
  const logging = ['-hide_banner', '-nostdin', '-nostats', '-v', 'repeat+level+info']
  // A playlist in disguise may name neither addresses nor other files.
  const closed = ['-protocol_whitelist', from.startsWith('file:') ? 'file' : 'pipe']
  const fromZero = format !== undefined && countFromZero.includes(format)
  // In broadcasts ffmpeg takes a hole of 10 s for another clock and closes it; an hour is more likely to be one.
  const times = fromZero ? ['-copyts'] : ['-dts_delta_threshold', '3600']
  // The first filter keeps rate and channels where they change on the way, so that the second counts what comes out.
  const sound = ['-map', '0:a:0', '-af', 'aresample,ashowinfo', '-c:a', 'pcm_f32le', '-f', 'wav', 'pipe:1']
  // The start of a stream that nobody reads does not count as the start of the file: the picture goes nowhere.
  const picture = fromZero ? [] : ['-map', '0:a:0', '-map', '0:V?', '-c', 'copy', '-f', 'null', '-']
  return [...logging, ...closed, ...times, '-i', from, ...sound, ...picture]
}

function unreadable(format: string | undefined, { messages, sampleBytes }: Said, code: number | null): FileProblem {
  if (format === undefined && (messages.guessed || messages.cause === undefined)) return new FileProblem(unknownFormat)
  if (messages.cause === noSound) return new FileProblem(noSound)
  const why = sampleBytes === 0 ? messages.failure : messages.damage
  const reason = why ?? (code === 0 ? 'no sample in it' : `exit code ${code}`)
  return new FileProblem(`${format ?? 'a format'} that ffmpeg cannot read (${reason})`)
}

async function started(ffmpeg: ChildProcessWithoutNullStreams, format: string | undefined) {
  try {
    await once(ffmpeg, 'spawn')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    const why = code === 'ENOENT' ? 'is not installed' : `does not start (${code})`
    if (format === undefined) throw new FileProblem(unknownFormat.replace('ffmpeg reads', `$& (which ${why})`))
    const cure = 'install it, or convert the file to WAV'
    throw new FileProblem(`${format} is read through ffmpeg, which ${why}; ${cure}`, exitCodes.unavailable)
  }
}

/** Writes everything at the pace of the reader, who may stop early. */
async function feed({ stdin }: ChildProcessWithoutNullStreams, input: string | AsyncIterable<Uint8Array>) {
  stdin.on('error', () => {}) // the reader is gone: `destroyed` says so
  let goOn = () => {}
  for (const event of ['drain', 'close']) stdin.on(event, () => goOn())
  try {
    if (typeof input === 'string') return
    for await (const block of input) {
      if (stdin.destroyed) return
      // A copy: the block is overwritten while the pipe still holds it.
      if (stdin.write(Uint8Array.from(block)) || stdin.destroyed) continue
      await new Promise<void>((resolve) => {
        goOn = resolve
      })
    }
  } finally {
    stdin.end()
  }
}
