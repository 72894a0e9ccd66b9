import { basename, join } from 'node:path'
import { modelFolder } from '../checkpoints/catalogue.js'
import { runMeasured } from './child.js'
import { middle } from './inference.js'
import { inFolder } from './inputs.js'
import { type Shape, shapeName, writeRandomTranscriber } from './models.js'
import { interleaved } from './rounds.js'

/** `transcribe` on audio of one length with one number of threads: medians over the rounds. */
export interface TranscribeBenchRow {
  model: string
  minutes: number
  threads: number
  /** Seconds of audio in a second, the start of the program left out; null where the input is too short to tell. */
  real_time: number | null
  /** Seconds of the same command on a second of audio. */
  start_seconds: number
  /** 2^20 bytes, the largest resident set of the process. */
  peak_mib: number
}

export interface TranscribeBenchOptions {
  /**
   * A bundled model or a folder; absent: random models of `shape`, one that reads forward and one that reads both ways.
   */
  model?: string
  shape: Pick<Shape, 'layers' | 'd_model'>
  /** Of the long recording; the short one has one. */
  minutes: number
  /** Absent: what transcribe takes by itself. */
  beam?: number
  threads: number
  rounds: number
  onRound?: (done: number) => void
}

/** Times `transcribe` as a shell would run it, on audio that comes through a pipe: a minute, and many. */
export function benchTranscribe(options: TranscribeBenchOptions): Promise<TranscribeBenchRow[]> {
  const { minutes, beam, rounds, onRound } = options
  return inFolder(async (folder) => {
    const models = await modelsOf(options, folder)
    const counts = [...new Set([1, options.threads])]
    const cases = models.flatMap((model) => counts.map((threads) => ({ ...model, threads })))
    const lengths = [1, 60, minutes * 60]
    const runs = cases.flatMap(({ folder: path, threads }) => {
      const width = beam === undefined ? [] : ['--beam', String(beam)]
      const args = ['transcribe', '-m', path, '-t', String(threads), ...width, '-q', '-f', 'tsv']
      return lengths.map((seconds) => () => runMeasured([...args, '-'], waveform(seconds)))
    })
    const measured = (await interleaved(runs, rounds, onRound)).map(middle)
    return cases.flatMap(({ model, threads }, c) => {
      const [start, ...rest] = measured.slice(c * lengths.length, (c + 1) * lengths.length)
      return rest.map(({ seconds, peakBytes }, i) => ({
        model,
        minutes: lengths[i + 1] / 60,
        threads,
        real_time: seconds > start.seconds ? lengths[i + 1] / (seconds - start.seconds) : null,
        start_seconds: start.seconds,
        peak_mib: peakBytes / 2 ** 20,
      }))
    })
  })
}

async function modelsOf({ model, shape }: TranscribeBenchOptions, folder: string) {
  if (model !== undefined) {
    const found = await modelFolder(model)
    return [{ model: basename(model), folder: found }]
  }
  return Promise.all(
    [false, true].map(async (bidirectional) => {
      const one = { ...shape, bidirectional }
      const path = join(folder, bidirectional ? 'bidirectional' : 'causal')
      await writeRandomTranscriber(path, one)
      return { model: shapeName(one), folder: path }
    }),
  )
}

/** 16-bit WAV of 16 kHz, as ffmpeg writes it into a pipe: sizes not filled in. Bursts of noise, four a second. */
export function* waveform(seconds: number): Generator<Buffer> {
  const rate = 16_000
  const head = Buffer.alloc(44)
  head.write('RIFF\xff\xff\xff\xffWAVEfmt ', 'latin1')
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(rate, 24)
  head.writeUInt32LE(2 * rate, 28)
  head.writeUInt16LE(2, 32)
  head.writeUInt16LE(16, 34)
  head.write('data\xff\xff\xff\xff', 36, 'latin1')
  yield head
  const second = Buffer.alloc(2 * rate)
  let state = 1
  for (let i = 0; i < rate; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    second.writeInt16LE(Math.round((state >> 18) * Math.sin((4 * Math.PI * i) / rate) ** 2), 2 * i)
  }
  for (let s = 0; s < seconds; s++) yield second
}
