import { type MessagePort, SHARE_ENV, type Transferable, Worker } from 'node:worker_threads'
import '../runtime/children.js' // before the first worker: they share its list
import { UserError } from '../errors.js'
import { nativeThread } from '../runtime/native-calls.js'

/** What a worker answers to a job; an error travels as its parts, because a thread cannot send a class. */
type Answer<Result> = { result: Result } | { failure: Failure }

interface Failure {
  message: string
  stack?: string
  /** Of the system or of Node. */
  code?: string
  /** Of a UserError. */
  exitCode?: number
}

interface Lane<Result> {
  worker: Worker
  /** Waits until the worker is outside native code, for good. */
  settle: () => void
  pending: { resolve: (result: Result) => void; reject: (error: Error) => void }[]
}

/** What a worker keeps lies in WebAssembly; a young generation of up to 48 MB would only grow with the hours. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 }

/**
 * A pool of worker threads, each with its own backend. A worker (`serve`) does its jobs in the order they come.
 */
export class WorkerPool<Job, Result> {
  /** In the order in which they were started. */
  private readonly lanes: Lane<Result>[] = []
  private failure: Error | null = null

  /** `threads`: as many at most; after the first each is started when there is work that the others are too busy for. */
  constructor(
    private readonly script: URL,
    private readonly workerData: unknown,
    private readonly threads: number,
  ) {
    this.lane(0)
  }

  /** `transfer`: buffers of the job that its sender has no more use for; `worker`: its number, absent: the one with least to do. */
  run(job: Job, transfer: Transferable[] = [], worker?: number): Promise<Result> {
    if (this.failure) return Promise.reject(this.failure)
    const lane = worker === undefined ? this.freest() : this.lane(worker)
    return new Promise((resolve, reject) => {
      lane.pending.push({ resolve, reject })
      lane.worker.postMessage(job, transfer)
    })
  }

  /** The same job on every worker, answers in the order of the workers. */
  runAll(job: Job): Promise<Result[]> {
    return Promise.all(Array.from({ length: this.threads }, (_, worker) => this.run(job, [], worker)))
  }

  /** Ends the threads, whatever they are at. */
  async close(): Promise<void> {
    await Promise.all(
      this.lanes.map(({ worker, settle }) => {
        settle()
        return worker.terminate()
      }),
    )
  }

  private lane(worker: number): Lane<Result> {
    while (this.lanes.length <= worker) this.lanes.push(this.start())
    return this.lanes[worker]
  }

  private freest(): Lane<Result> {
    const free = this.lanes.find(({ pending }) => pending.length === 0)
    if (free) return free
    if (this.lanes.length < this.threads) return this.lane(this.lanes.length)
    return this.lanes.reduce((a, b) => (b.pending.length < a.pending.length ? b : a))
  }

  private start(): Lane<Result> {
    // SHARE_ENV: what a worker sets for a library that it loads is set where the library looks, in the process.
    const {
      thread: worker,
      settle,
      left,
    } = nativeThread(() => new Worker(this.script, { workerData: this.workerData, resourceLimits, env: SHARE_ENV }))
    const lane: Lane<Result> = { worker, settle, pending: [] }
    lane.worker.on('message', (answer: Answer<Result>) => {
      const job = lane.pending.shift()!
      if ('result' in answer) job.resolve(answer.result)
      else job.reject(revive(answer.failure))
    })
    lane.worker.on('error', (error) => {
      left()
      this.fail(error instanceof Error ? error : new Error(String(error)))
    })
    lane.worker.on('exit', (code) => {
      left()
      if (lane.pending.length > 0) this.fail(new Error(`a worker thread ended (exit ${code}) with work in hand`))
    })
    return lane
  }

  private fail(error: Error): void {
    this.failure = error
    for (const { pending } of this.lanes) for (const job of pending.splice(0)) job.reject(error)
  }
}

function revive({ message, stack, code, exitCode }: Failure): Error {
  if (exitCode !== undefined) return new UserError(message, exitCode)
  return Object.assign(new Error(message), { stack, code })
}

/** The worker's side: opens what it needs once, then answers one job after the other. */
export function serve<Job, Opened, Result>(
  port: MessagePort,
  open: () => Promise<Opened>,
  handle: (opened: Opened, job: Job) => Promise<{ result: Result; transfer?: ArrayBuffer[] }>,
): void {
  const opened = open()
  let before: Promise<unknown> = opened.catch(() => {}) // each job below is answered with the failure
  port.on('message', (job: Job) => {
    before = before.then(async () => {
      try {
        const { result, transfer } = await handle(await opened, job)
        port.postMessage({ result } satisfies Answer<Result>, transfer)
      } catch (error) {
        const { message, stack, code } = error as NodeJS.ErrnoException
        const exitCode = error instanceof UserError ? error.exitCode : undefined
        port.postMessage({ failure: { message, stack, code, exitCode } } satisfies Answer<Result>)
      }
    })
  })
}
