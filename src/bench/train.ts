import { Random } from '../runtime/random.js'
import { DataParallel } from '../training/data-parallel.js'
import type { Records } from '../training/dna/records.js'
import { completeSettings } from '../training/dna/settings.js'
import { sizeOf } from '../training/gradient-sum.js'
import { initialise } from '../training/initialise.js'
import { hostTensors } from '../training/replica.js'
import { randomSpec, type Shape, shapeName } from './models.js'
import { interleaved, median } from './rounds.js'

/** Training with one number of threads: median over the rounds. */
export interface TrainBenchRow {
  model: string
  records: string
  threads: number
  /** Tokens forward, backward and through the update. */
  tokens_per_second: number
  /** Against one thread. */
  ratio: number
}

export interface TrainBenchOptions {
  shape: Shape
  /** Bases per record. */
  length: number
  threads: number
  rounds: number
  onRound?: (done: number) => void
}

/**
 * Steps that are not counted: a training takes thousands, and V8 compiles on the same cores during the first of them.
 */
const warmUp = 8

/** Of the training that the steps belong to, by which the learning rate goes. */
const manySteps = 10_000

/**
 * Times whole steps of `train classify` (gradients of a batch, then AdamW) on synthetic records, without files and
 * validation.
 */
export async function benchTraining({
  shape,
  length,
  threads,
  rounds,
  onRound,
}: TrainBenchOptions): Promise<TrainBenchRow[]> {
  const { shard } = completeSettings({})
  // Four shards for every thread, or the last thread would wait.
  const batch = Math.max(64, 4 * threads * shard)
  const settings = completeSettings({ ...shape, batch })
  const spec = randomSpec(shape, length)
  const weights = initialise(spec, 1)
  const train = madeUpRecords(batch, length)
  const all = Int32Array.from({ length: batch }, (_, i) => i)
  const state = { step: 0, weights: hostTensors(weights), moments: new Map(), ema: null }
  const counts = [...new Set([1, threads])]
  const groups = counts.map((count) => {
    const slots = new SharedArrayBuffer((batch / shard) * sizeOf(weights.values()) * 4)
    return new DataParallel(
      { spec, settings, state, frozen: new Map(), train, valid: null, slots },
      'cpu',
      count,
      shard,
    )
  })
  const steps = groups.map((workers) => {
    let step = 0
    return async () => {
      const start = performance.now()
      const { tokens } = (await workers.gradients(step, all))! // never given up
      await workers.update(++step, manySteps, batch)
      return (1000 * tokens) / (performance.now() - start)
    }
  })
  try {
    await interleaved(steps, warmUp)
    const speeds = (await interleaved(steps, rounds, onRound)).map(median)
    return counts.map((count, i) => ({
      model: shapeName(shape),
      records: `${batch} of ${length} bp`,
      threads: count,
      tokens_per_second: speeds[i],
      ratio: speeds[i] / speeds[0],
    }))
  } finally {
    await Promise.all(groups.map((workers) => workers.close()))
  }
}

function madeUpRecords(count: number, length: number): Records {
  const random = new Random(1)
  return {
    kind: 'dna',
    codes: Uint8Array.from({ length: count * length }, () => random.int(4)),
    offsets: Float64Array.from({ length: count + 1 }, (_, i) => i * length),
    targets: Int32Array.from({ length: count }, () => random.int(2)),
    targetOffsets: Int32Array.from({ length: count + 1 }, (_, i) => i),
  }
}
