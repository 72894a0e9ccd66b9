import { basename, join } from 'node:path'
import { modelFolder } from '../checkpoints/catalogue.js'
import { openCheckpoint } from '../checkpoints/open.js'
import { runMeasured, type Usage } from './child.js'
import { type Input, inFolder, writeLong, writeReads } from './inputs.js'
import { type Shape, shapeName, writeRandomModel } from './models.js'
import { interleaved, median } from './rounds.js'

/** One command on one input with one number of threads: medians over the rounds. */
export interface InferenceBenchRow {
  model: string
  input: string
  threads: number
  /** Bases of the input per second, the start of the program left out; null where the input is too short to tell. */
  tokens_per_second: number | null
  /** Against one thread on the same input. */
  ratio: number | null
  /** Seconds of the same command on a single read. */
  start_seconds: number
  /** 2^20 bytes, the largest resident set of the process. */
  peak_mib: number
}

export interface InferenceBenchOptions {
  command: 'classify' | 'embed'
  /**
   * A bundled model or a folder; absent: random models of `shape`, one that reads forward and one that reads both ways.
   */
  model?: string
  shape: Pick<Shape, 'layers' | 'd_model'>
  /** Bases of each input. */
  tokens: number
  threads: number
  rounds: number
  onRound?: (done: number) => void
}

interface Model {
  name: string
  folder: string
  /** Bases of a read, and of a window of the long record. */
  read: number
  window: number
  /** It takes records of any length. */
  anyLength: boolean
}

interface Workload {
  name: string
  input: Input
  flags: string[]
}

const readLength = 150
const windowLength = 500

/**
 * Times `classify` or `embed` as a shell would run them: whole commands, from files to a file. Errors: those of the
 * command.
 */
export function benchInference(options: InferenceBenchOptions): Promise<InferenceBenchRow[]> {
  const { command, tokens, rounds, onRound } = options
  return inFolder(async (folder) => {
    const output = ['-q', '--force', '-o', join(folder, command === 'embed' ? 'out.npy' : 'out.tsv')]
    const counts = [...new Set([1, options.threads])]
    const planned: { model: Model; start: Workload; loads: Workload[] }[] = []
    for (const model of await models(options, folder)) {
      const [start, ...loads] = await workloads(model, folder, tokens)
      planned.push({ model, start, loads })
    }
    const run = (model: Model, threads: number, { flags, input }: Workload) => {
      const args = [command, '-m', model.folder, '-t', String(threads), ...flags, ...output, input.path]
      return () => runMeasured(args)
    }
    const runs = planned.flatMap(({ model, start, loads }) =>
      counts.flatMap((threads) => [start, ...loads].map((load) => run(model, threads, load))),
    )
    const measured = (await interleaved(runs, rounds, onRound)).map(middle)
    return rowsOf(planned, counts, measured)
  })
}

interface Planned {
  model: Pick<Model, 'name'>
  loads: { name: string; input: Pick<Input, 'bases'> }[]
}

/** `measured`: of each model, for each number of threads, the start and then the loads. */
export function rowsOf(planned: Planned[], counts: number[], measured: Usage[]): InferenceBenchRow[] {
  let next = 0
  return planned.flatMap(({ model, loads }) => {
    const size = 1 + loads.length
    const ofModel = measured.slice(next, next + counts.length * size)
    next += ofModel.length
    return loads.flatMap(({ name, input }, w) => {
      const rows = counts.map((threads, c) => {
        const [start, all] = [ofModel[c * size], ofModel[c * size + 1 + w]]
        const computing = all.seconds - start.seconds
        const speed = computing > 0 ? input.bases / computing : null
        return { model: model.name, input: name, threads, speed, start, all }
      })
      return rows.map(({ speed, start, all, ...row }) => ({
        ...row,
        tokens_per_second: speed,
        ratio: speed && rows[0].speed && speed / rows[0].speed,
        start_seconds: start.seconds,
        peak_mib: all.peakBytes / 2 ** 20,
      }))
    })
  })
}

export const middle = (usages: Usage[]): Usage => ({
  seconds: median(usages.map(({ seconds }) => seconds)),
  peakBytes: median(usages.map(({ peakBytes }) => peakBytes)),
})

/** A single read, which shows what the start takes, then what is measured. */
async function workloads(
  { name, read, window, anyLength }: Model,
  folder: string,
  tokens: number,
): Promise<Workload[]> {
  const path = (kind: string) => join(folder, `${name} ${kind}.fa`)
  const long = await writeLong(path('long'), tokens)
  return [
    { name: 'one read', input: await writeReads(path('one'), 1, read), flags: [] },
    { name: `reads of ${read} bp`, input: await writeReads(path('reads'), Math.ceil(tokens / read), read), flags: [] },
    { name: `windows of ${window} bp`, input: long, flags: ['--window', String(window)] },
    ...(anyLength ? [{ name: `one record of ${tokens} bp`, input: long, flags: ['--strand', '+'] }] : []),
  ]
}

async function models({ model, shape }: InferenceBenchOptions, folder: string): Promise<Model[]> {
  if (model !== undefined) {
    const found = await modelFolder(model)
    const { spec } = await openCheckpoint(found)
    // `flatten` takes one length only.
    const fixed = spec.head?.kind === 'classes' ? spec.head.length : undefined
    const window = fixed ?? spec.trained_length ?? windowLength
    return [
      {
        name: basename(model),
        folder: found,
        read: fixed ?? readLength,
        window,
        anyLength: fixed === undefined,
      },
    ]
  }
  return Promise.all(
    [false, true].map(async (bidirectional) => {
      const one = { ...shape, bidirectional }
      const path = join(folder, bidirectional ? 'bidirectional' : 'causal')
      await writeRandomModel(path, one, windowLength)
      return { name: shapeName(one), folder: path, read: readLength, window: windowLength, anyLength: true }
    }),
  )
}
