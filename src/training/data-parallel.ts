import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Device, devices } from '../backends/registry.js'
import { WorkerPool } from '../engine/workers.js'
import { packageRoot } from '../runtime/package-root.js'
import type { Answer, Evaluated, Job, ReplicaSetup, TrainingState } from './replica.js'

/** Records per validation job: a fixed number, so that two threads share even a small set. */
const evaluationBlock = 32

/** The replicas of a run, one per worker thread, in lock step. */
export class DataParallel {
  readonly #pool: WorkerPool<Job, Answer>
  private readonly threads: number

  constructor(
    setup: Omit<ReplicaSetup, 'stop'>,
    device: Device,
    threads: number,
    private readonly shard: number,
    /** Gradients are given up. */
    signal?: AbortSignal,
  ) {
    const stop = new SharedArrayBuffer(4)
    const giveUp = () => Atomics.store(new Int32Array(stop), 0, 1)
    if (signal?.aborted) giveUp()
    signal?.addEventListener('abort', giveUp)
    this.threads = devices[device].lanes === 1 ? 1 : threads
    const script = pathToFileURL(join(packageRoot, 'dist/src/training/worker.js'))
    this.#pool = new WorkerPool(script, { ...setup, stop, device }, this.threads)
  }

  /** Gradients of a batch, shard by shard: mean loss, right answers and tokens of the batch; null: given up. */
  async gradients(step: number, records: Int32Array): Promise<{ loss: number; right: number; tokens: number } | null> {
    // A thread takes a shard when it has done the one before: cores are not equally fast.
    const shards = cut(records, this.shard)
    const answers: Extract<Answer, { kind: 'gradient' }>[] = []
    const left = shards.entries()
    let givenUp = false
    const takeShards = async () => {
      for (const [shard, part] of left) {
        const job = { kind: 'gradient', step, shard, records: part, total: records.length } as const
        const answer = await this.#pool.run(job)
        if (answer.kind === 'gradient') answers[shard] = answer
        else givenUp = true
      }
    }
    await Promise.all(Array.from({ length: this.threads }, takeShards))
    if (givenUp) return null
    const sum = { loss: 0, right: 0, tokens: 0 }
    for (const { loss, right, tokens } of answers) {
      sum.loss += loss / records.length
      sum.right += right
      sum.tokens += tokens
    }
    return sum
  }

  /** Every replica takes the step of so many. Returns the norm of the gradient. */
  async update(step: number, steps: number, records: number): Promise<number> {
    const job = { kind: 'update', step, steps, shards: Math.ceil(records / this.shard) } as const
    const [first] = await this.#pool.runAll(job)
    return (first as Extract<Answer, { kind: 'update' }>).norm
  }

  /** What the model says of the validation records. */
  async evaluate(records: number): Promise<Evaluated> {
    const all = Int32Array.from({ length: records }, (_, i) => i)
    const blocks = await Promise.all(
      cut(all, evaluationBlock).map((part) => this.#ask('evaluate', { kind: 'evaluate', records: part })),
    )
    return {
      losses: Float64Array.from(blocks.flatMap(({ losses }) => [...losses])),
      answers: blocks.flatMap(({ answers }) => answers),
      logits: Float64Array.from(blocks.flatMap(({ logits }) => [...logits])),
    }
  }

  async state(): Promise<TrainingState> {
    return (await this.#ask('state', { kind: 'state' })).state
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  async #ask<K extends Job['kind']>(_: K, job: Extract<Job, { kind: K }>): Promise<Extract<Answer, { kind: K }>> {
    return (await this.#pool.run(job)) as Extract<Answer, { kind: K }>
  }
}

function cut(records: Int32Array, size: number): Int32Array[] {
  return Array.from({ length: Math.ceil(records.length / size) }, (_, i) => records.slice(i * size, (i + 1) * size))
}
