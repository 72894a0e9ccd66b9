import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { exitCodes } from '../shell/errors.js'
import { FileProblem } from './collector.js'

/**
 * The first sound track of a file in any format that `ffmpeg` knows, as the bytes of a 32-bit float WAV file with the
 * rate and the channels that it has. `input`: a path, or the bytes themselves. `warn` is told what ffmpeg passed over: a
 * file that is damaged or cut off in its middle is no failure to it.
 * Errors (FileProblem): 69 no ffmpeg, 65 it cannot read this (its own last line), after what it could read.
 */
export async function* ffmpegToWav(
  input: string | AsyncIterable<Uint8Array>,
  format: string,
  warn: (text: string) => void,
): AsyncGenerator<Uint8Array> {
  const from = typeof input === 'string' ? `file:${input}` : 'pipe:0'
  const quiet = ['-hide_banner', '-nostdin', '-v', 'error']
  const ffmpeg = spawn('ffmpeg', [...quiet, '-i', from, '-map', '0:a:0', '-c:a', 'pcm_f32le', '-f', 'wav', 'pipe:1'])
  await started(ffmpeg, format)
  const closed = once(ffmpeg, 'close') as Promise<[number | null]>
  closed.catch(() => {}) // it is awaited at the end, or not at all
  let said = ''
  ffmpeg.stderr.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-4096)
  })
  let failure: unknown
  feed(ffmpeg, input).catch((error) => {
    failure = error
  })
  try {
    for await (const block of ffmpeg.stdout) yield block
    const [code] = await closed
    if (failure) throw failure
    const line = said.trim().split('\n').at(-1)
    if (code !== 0) throw new FileProblem(`${format} that ffmpeg cannot read (${line || `exit code ${code}`})`)
    if (line) warn(`damaged or cut off: ffmpeg reads what it can (${line})`)
  } finally {
    ffmpeg.kill()
  }
}

async function started(ffmpeg: ChildProcessWithoutNullStreams, format: string) {
  try {
    await once(ffmpeg, 'spawn')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    const why = code === 'ENOENT' ? 'is not installed' : `does not start (${code})`
    const cure = 'install it, or convert the file to WAV'
    throw new FileProblem(`${format} is read through ffmpeg, which ${why}; ${cure}`, exitCodes.unavailable)
  }
}

/** Writes everything at the pace of the reader, who may stop early. */
async function feed({ stdin }: ChildProcessWithoutNullStreams, input: string | AsyncIterable<Uint8Array>) {
  stdin.on('error', () => {}) // the reader is gone: `destroyed` says so
  try {
    if (typeof input === 'string') return
    for await (const block of input) {
      if (stdin.destroyed) return
      // A copy: the block is overwritten while the pipe still holds it.
      if (stdin.write(Uint8Array.from(block)) || stdin.destroyed) continue
      await new Promise<void>((resolve) => {
        stdin.once('drain', resolve)
        stdin.once('close', resolve)
      })
    }
  } finally {
    stdin.end()
  }
}
