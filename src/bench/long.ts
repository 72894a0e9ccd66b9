import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sizeFlag } from '../text/size.js'
import { runMeasured, type Usage } from './child.js'
import { middle } from './inference.js'
import { type Input, inFolder, writeLong, writeReads } from './inputs.js'
import { type Shape, shapeName, writeRandomModel } from './models.js'
import type { OnRound } from './report.js'
import { interleaved } from './rounds.js'

/** `embed` of one record: medians over the rounds. */
export interface LongBenchRow {
  model: string
  /** Bases of the record. */
  tokens: number
  /** 2^20 bytes that --max-memory allows; null: its default. */
  max_memory_mib: number | null
  threads: number
  /** Microseconds for each base, the start of the program left out. */
  us_per_token: number
  /** Against the record of a sixteenth of the longest, through the same model. */
  ratio: number
  /** 2^20 bytes, the largest resident set of the process. */
  peak_mib: number
  /** Against the same. */
  peak_ratio: number
  /** The vector is that of the same record without a limit; null where nothing is limited. */
  same_bytes: boolean | null
}

export interface LongBenchOptions {
  shape: Pick<Shape, 'layers' | 'd_model'>
  /** Bases of the longest record; the others have a quarter, a sixteenth and a 64th. */
  tokens: number
  /** Bytes that the model that reads both ways is allowed. */
  maxMemory: number
  threads: number
  rounds: number
  onRound?: OnRound
}

const parts = [64, 16, 4, 1]

/** Records of growing lengths through a model that reads forward, which streams, and one that reads both ways, which sweeps. */
export function benchLong({ shape, tokens, maxMemory, threads, rounds, onRound }: LongBenchOptions) {
  return inFolder(async (folder): Promise<LongBenchRow[]> => {
    const one = await writeReads(join(folder, 'one.fa'), 1, 150)
    const records: Input[] = []
    for (const part of parts) records.push(await writeLong(join(folder, `${part}.fa`), tokens / part))
    const rows: LongBenchRow[] = []
    for (const bidirectional of [false, true]) {
      const model = { ...shape, bidirectional }
      const path = join(folder, shapeName(model))
      await writeRandomModel(path, model, records[0].bases)
      const cases: Case<Input>[] = [one, ...records].map((input) => ({ input }))
      if (bidirectional) cases.push({ input: records[records.length - 1], maxMemory })
      const output = (i: number) => join(folder, `${i}.jsonl`)
      const runs = cases.map(({ input, maxMemory: limit }, i) => {
        const flags = ['-m', path, '-t', String(threads), '--strand', '+', '-q', '--force', '-o', output(i)]
        if (limit !== undefined) flags.push('--max-memory', sizeFlag(limit), '--tmp-dir', folder)
        return () => runMeasured(['embed', ...flags, input.path])
      })
      const label = (done: number) => onRound?.(done, shapeName(model))
      const usages = (await interleaved(runs, rounds, label)).map(middle)
      const vectors = await Promise.all(cases.map((_, i) => readFile(output(i), 'utf8')))
      rows.push(...rowsOf(shapeName(model), threads, cases, usages, vectors))
    }
    return rows
  })
}

interface Case<Given = Pick<Input, 'bases'>> {
  input: Given
  maxMemory?: number
}

/** The first case shows what the start takes, the third is the one to compare with. */
export function rowsOf(model: string, threads: number, cases: Case[], usages: Usage[], vectors: string[]) {
  const [start, , base] = usages
  const perToken = cases.map(({ input }, i) => (1e6 * (usages[i].seconds - start.seconds)) / input.bases)
  return cases.slice(1).map(({ input, maxMemory }, k): LongBenchRow => {
    const i = k + 1
    const same = cases.findIndex((other) => other.input === input)
    return {
      model,
      tokens: input.bases,
      max_memory_mib: maxMemory === undefined ? null : maxMemory / 2 ** 20,
      threads,
      us_per_token: perToken[i],
      ratio: perToken[i] / perToken[2],
      peak_mib: usages[i].peakBytes / 2 ** 20,
      peak_ratio: usages[i].peakBytes / base.peakBytes,
      same_bytes: same === i ? null : vectors[i] === vectors[same],
    }
  })
}
