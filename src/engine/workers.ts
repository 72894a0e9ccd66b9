import { Worker } from 'node:worker_threads'

interface Lane<Result> {
  worker: Worker
  pending: { resolve: (result: Result) => void; reject: (error: Error) => void }[]
}

/**
 * A pool of worker threads, each with its own backend. A worker does its jobs in the order they come and answers each
 * with `{ result }` or `{ error }`. `follow` sends a job to the worker of the job before it (a cut sequence).
 */
export class WorkerPool<Job, Result> {
  private readonly lanes: Lane<Result>[]
  private last: Lane<Result>
  private failure: Error | null = null

  constructor(script: URL, workerData: unknown, threads: number) {
    this.lanes = Array.from({ length: threads }, () => this.start(script, workerData))
    this.last = this.lanes[0]
  }

  run(job: Job, follow = false): Promise<Result> {
    if (this.failure) return Promise.reject(this.failure)
    const lane = follow ? this.last : this.lanes.reduce((a, b) => (b.pending.length < a.pending.length ? b : a))
    this.last = lane
    return new Promise((resolve, reject) => {
      lane.pending.push({ resolve, reject })
      lane.worker.postMessage(job)
    })
  }

  /** The same job on every worker, answers in the order of the workers. */
  runAll(job: Job): Promise<Result[]> {
    return Promise.all(
      this.lanes.map((lane) => {
        this.last = lane
        return this.run(job, true)
      }),
    )
  }

  async close(): Promise<void> {
    await Promise.all(this.lanes.map(({ worker }) => worker.terminate()))
  }

  private start(script: URL, workerData: unknown): Lane<Result> {
    const lane: Lane<Result> = { worker: new Worker(script, { workerData }), pending: [] }
    lane.worker.on('message', ({ result, error }: { result: Result; error?: Error }) => {
      const job = lane.pending.shift()
      if (error) job?.reject(error)
      else job?.resolve(result)
    })
    lane.worker.on('error', (error) => this.fail(error instanceof Error ? error : new Error(String(error))))
    lane.worker.on('exit', (code) => {
      if (lane.pending.length > 0) this.fail(new Error(`a worker thread ended (exit ${code}) with work in hand`))
    })
    return lane
  }

  private fail(error: Error): void {
    this.failure = error
    for (const { pending } of this.lanes) for (const job of pending.splice(0)) job.reject(error)
  }
}

/** Results of `jobs` in their order, with at most `depth` under way; jobs are drawn only as fast as results are taken. */
export async function* inOrder<Job, Result>(
  jobs: AsyncIterable<Job> | Iterable<Job>,
  run: (job: Job) => Promise<Result>,
  depth: number,
): AsyncGenerator<Result> {
  const underWay: Promise<Result>[] = []
  for await (const job of jobs) {
    const result = run(job)
    result.catch(() => {}) // seen when it is awaited below
    underWay.push(result)
    if (underWay.length >= depth) yield await underWay.shift()!
  }
  while (underWay.length > 0) yield await underWay.shift()!
}
