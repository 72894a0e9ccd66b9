import { join } from 'node:path'
import { type Device, devices, type Precision } from '../backends/registry.js'
import { runMeasured } from './child.js'
import { inFolder, writeLong, writeReads } from './inputs.js'
import { type Shape, shapeName, writeRandomModel } from './models.js'
import type { OnRound } from './report.js'
import { interleaved, median } from './rounds.js'

/** `classify` with a random model on a device: medians over the rounds. */
export interface EndToEndBenchRow {
  model: string
  device: Device
  precision: Precision
  /** Rows computed at a time. */
  chunk: number
  /** Bases of the only record. */
  tokens: number
  /** Per second, the start of the program left out; null where the record is too short to tell. */
  tokens_per_second: number | null
  /** Against the device cpu with the threads of this machine. */
  ratio: number | null
  /** Seconds of the same command on a single read. */
  start_seconds: number
}

export interface EndToEndBenchOptions {
  device: Device
  /** Bases of a record at the most; 0: nothing is measured. */
  tokens: number
  rounds: number
  onRound?: OnRound
}

const shapes: Shape[] = [
  { layers: 4, d_model: 128, bidirectional: false },
  { layers: 16, d_model: 256, bidirectional: false },
]
/** Of cpu, and one that gives a GPU more to do at a time. */
const chunks = [2048, 16_384]
/** Seconds of computing that make a record long enough, and what a device begins with: bases, growing by this factor. */
const enough = 1
const few = 5000
const factor = 4

/** Whole commands, as a shell would run them, on one record that is read chunk by chunk with carried state. */
export async function benchEndToEnd(options: EndToEndBenchOptions): Promise<EndToEndBenchRow[]> {
  const { device, tokens, rounds, onRound } = options
  if (tokens === 0) return []
  const cases = await casesOf(device)
  return inFolder(async (folder) => {
    const out: EndToEndBenchRow[] = []
    for (const shape of shapes) {
      const model = join(folder, shapeName(shape))
      await writeRandomModel(model, shape, few)
      const runs = []
      for (const one of cases) runs.push(await prepared(folder, model, one, tokens))
      const label = (done: number) => onRound?.(done, shapeName(shape))
      const timers = runs.flatMap(({ start, long }) => [start, long])
      const medians = (await interleaved(timers, rounds, label)).map(median)
      const speeds = runs.map((run, i) => {
        const seconds = medians[2 * i + 1] - medians[2 * i]
        return seconds > 0 ? run.tokens / seconds : null
      })
      for (const [i, one] of cases.entries())
        out.push({
          model: shapeName(shape),
          ...one,
          tokens: runs[i].tokens,
          tokens_per_second: speeds[i],
          ratio: speeds[i] && speeds[0] && speeds[i] / speeds[0],
          start_seconds: medians[2 * i],
        })
    }
    return out
  })
}

/** The device cpu first; a GPU also by its matrices of float16, where it has them. */
async function casesOf(device: Device): Promise<Case[]> {
  const cpu: Case = { device: 'cpu', precision: 'f32', chunk: chunks[0] }
  if (device === 'cpu') return [cpu]
  const { gpu } = await devices[device].probe(['f16'])
  const precisions: Precision[] = gpu?.matrices.includes('f16') ? ['f32', 'f16'] : ['f32']
  return [cpu, ...precisions.flatMap((precision) => chunks.map((chunk) => ({ device, precision, chunk })))]
}

/** The command on a single read, and on a record that is long enough for this model on this device. */
async function prepared(folder: string, model: string, { device, precision, chunk }: Case, most: number) {
  const output = ['-q', '--force', '-o', join(folder, 'out.tsv')]
  const flags = ['-m', model, '-d', device, '--precision', precision, '--chunk', String(chunk), '--strand', '+']
  const seconds = (path: string) => async () => (await runMeasured(['classify', ...flags, ...output, path])).seconds
  const { path } = await writeReads(join(folder, 'one.fa'), 1, 150)
  const start = seconds(path)
  for (let tokens = Math.min(few, most); ; tokens = Math.min(factor * tokens, most)) {
    const record = await writeLong(join(folder, `${tokens}.fa`), tokens)
    const long = seconds(record.path)
    if (tokens === most || (await long()) - (await start()) >= enough) return { tokens: record.bases, start, long }
  }
}

type Case = Pick<EndToEndBenchRow, 'device' | 'precision' | 'chunk'>
