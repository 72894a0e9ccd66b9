import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Transferable } from 'node:worker_threads'
import type { Device } from '../backends/registry.js'
import type { Chunk, Input } from '../engine/chunk.js'
import { inOrder } from '../engine/in-order.js'
import { readsWhole } from '../engine/memory.js'
import { type Output, type Read, readFor } from '../engine/outputs.js'
import { type Packed, type Piece, pack } from '../engine/pack.js'
import type { Plan } from '../engine/plan.js'
import { joinedReads, joinedSnapshot, type Snapshot } from '../engine/session.js'
import { WorkerPool } from '../engine/workers.js'
import { exitCodes, UserError } from '../errors.js'
import type { Weights } from '../layers/params.js'
import type { BufferPool } from '../runtime/buffer-pool.js'
import { firstNotFinite } from '../runtime/numbers.js'
import { packageRoot } from '../runtime/package-root.js'
import type { ModelSpec } from '../spec.js'
import { halvesOf } from './halves.js'
import { isLongSweep, type LongSweep, partsOf as partsOfSweep } from './resume/long-sweep.js'
import type { Memory, Recall } from './resume/recall.js'
import { type Room, WholeRoom } from './whole-room.js'
import type { Span } from './windows.js'
import type { ChunkJob, InferenceAnswer, InferenceJob, InferenceSetup, Started } from './worker.js'

export interface PredictOptions<Note> {
  device: Device
  plan: Plan
  wanted: Output
  /** Of temporary files; default: that of the system. */
  tmpDir?: string
  /** See `ComputeOptions`. */
  halfSpool?: boolean
  /** What is read of a long sequence may come in several answers. */
  inParts?: boolean
  /** Takes the buffers of inputs that have been read. */
  buffers?: BufferPool
  /** Answers are kept there for a later run, and those of an earlier one are not computed. */
  recall?: Recall<Note>
  /** Called once for each worker. */
  onStarted?: (started: Started) => void
}

/** What was wanted of a sequence (of one piece of it where all rows are wanted): [rows, width]. */
export interface Answer<Note> {
  note: Note
  data: Float32Array
  width: number
  /** No other answer has this note. */
  last: boolean
}

/**
 * What the model says of one span, on each strand that was asked for; a recording has one. Where all rows of a streamed
 * span are wanted, it comes in several predictions.
 */
export interface Prediction {
  /** Its `end` is where it ends in the last prediction, how far it was read in those before. */
  span: Span
  /** The last prediction on this span. */
  last: boolean
  /** One per strand, [rows, width]. */
  strands: Float32Array[]
  width: number
  /** Of DNA: how many of its bases, those read so far, are N. */
  n?: number
  /** Of audio: nothing is heard in it. */
  silent?: boolean
  /** Where likelihoods are wanted: of what. */
  targets?: Targets
  /** Where it is wanted with them, in one of the predictions on each strand: the embedding of the span, [D]. */
  embedding?: Float32Array
}

/** What a model was asked about rows of a sequence. */
export interface Targets {
  /** One for each row: the id whose probability it gave; -1: none. */
  ids: Int32Array
  /** The first of these rows, counted on the strand that was read. */
  row: number
  /** How far behind its row a token stands: 1: it is the next one; 0: it is the one that was masked. */
  ahead: 0 | 1
  strand: '+' | '-'
}

/** Runs sequences over worker threads and gives what is wanted of them, in order. The inputs are given away. */
export async function* predict<Note>(
  pieces: AsyncIterable<Piece<Note>>,
  model: { spec: ModelSpec; weights: Weights },
  { device, plan, wanted, tmpDir, halfSpool: half, inParts = false, buffers, recall, onStarted }: PredictOptions<Note>,
): AsyncGenerator<Answer<Note>> {
  const { spec } = model
  const { chunk, keptWeights, deviceSpoolBytes, matrices, stages } = plan
  const { weights } = model
  const setup: InferenceSetup = {
    device,
    spec,
    weights,
    chunk,
    wanted,
    keptWeights,
    deviceSpoolBytes,
    matrices,
    half,
    stages,
  }
  const script = pathToFileURL(join(packageRoot, 'dist/src/tasks/worker.js'))
  const pool = new WorkerPool<InferenceJob, InferenceAnswer>(script, setup, plan.workers)
  const width = spec.input.kind === 'tokens' ? 1 : spec.d_embed
  let nextNumber = 0
  /** Sequences longer than a chunk are computed by two workers, where each layer has to be whole before the next. */
  const inHalves = readsWhole(spec) && plan.workers > 1
  let nextWorker = 0
  const takeTurns = (jobs: readonly ChunkJob[]) => jobs.map(() => nextWorker++ % plan.workers)
  /** Of each worker: when the last part of what it was given was taken. */
  const taken: Promise<void>[] = []
  const whole = new WholeRoom(spec, plan, tmpDir, { half, outputs: readFor(wanted).length })
  /** Of the sequences that are held whole, by their input. */
  const rooms = new Map<Input, Room>()

  /** The parts of its answer are kept one by one. */
  const comesInParts = (rows: number) => inParts && !wanted.pool && rows > chunk

  /** A sequence that is held whole waits until there is room for it. */
  const admitted = async function* (): AsyncGenerator<Piece<Asked<Note>>> {
    for await (const piece of pieces) {
      const { input } = piece
      const rows = input.length / width
      const swept = isLongSweep(spec, plan, rows) ? { inHalves } : undefined
      const memory = await recall?.of(piece, { rows, inParts: comesInParts(rows), swept })
      const known = memory?.known !== undefined
      if (rows > chunk && !known) rooms.set(input, await whole.take(rows, memory?.sweep && recall?.folder.path))
      yield { ...piece, known, note: { note: piece.note, input, memory } }
    }
  }

  const runOn = async (job: InferenceJob, worker?: number): Promise<InferenceAnswer> => {
    const transfer: Transferable[] = 'input' in job ? [job.input.buffer as ArrayBuffer] : []
    if ('input' in job && job.other) transfer.push(job.other.port)
    const answer = await pool.run(job, transfer, worker)
    if (answer.started) onStarted?.(answer.started)
    // Between stages it is the residual stream, made there.
    if (answer.inputBuffer && !('stage' in job && job.stage)) buffers?.give(answer.inputBuffer)
    return answer
  }

  /** Whole sequences go to any worker; longer ones that are swept to two of them. */
  const runWhole = async (job: Chunk, sweep?: LongSweep): Promise<AsyncIterable<Read> | Read[]> => {
    const room = rooms.get(job.input)
    rooms.delete(job.input)
    const whole: ChunkJob = { ...job, folder: room?.folder }
    const halves = sweep?.halves ?? (room && inHalves)
    const kept = sweep && partsOfSweep(sweep)
    const jobs = (halves ? halvesOf(spec, whole) : [whole]).map((part, i) => ({ ...part, kept: kept?.[i] }))
    if (room && comesInParts(job.input.length / width)) return runInParts(jobs, room)
    try {
      if (jobs.length === 1) return (await runOn(jobs[0])).reads
      const workers = takeTurns(jobs)
      const answers = await Promise.all(jobs.map((half, i) => runOn(half, workers[i])))
      return joinedReads(answers.map(({ reads }) => reads))
    } finally {
      room?.give()
    }
  }

  /** A worker has begun the next of them when all parts of the one before were taken: each keeps its spool until then. */
  const runInParts = async (jobs: ChunkJob[], room: Room): Promise<AsyncIterable<Read>> => {
    const parts = nextNumber++
    const workers = takeTurns(jobs)
    const before = workers.map((worker) => taken[worker])
    let done = () => {}
    const all = new Promise<void>((resolve) => {
      done = resolve
    })
    for (const worker of workers) taken[worker] = all
    await Promise.all(before)
    const firsts = jobs.map((job, i) => runOn({ ...job, parts }, workers[i]))
    // The first half waits for the second, which may fail.
    await Promise.race([firsts[0], Promise.all(firsts)])
    return partsOf(
      firsts,
      (i) => runOn({ next: parts }, workers[i]),
      () => {
        room.give()
        done()
      },
    )
  }

  /** Cut sequences go from stage to stage: worker i keeps the state of the blocks of stage i. */
  const runStages = async (job: Chunk, { load, save }: Partial<Memory>): Promise<Stages> => {
    let next: Chunk | null = job
    let read: Read | undefined
    const snapshots: Snapshot[] = []
    for (let stage = 0; next; stage++) {
      const { input, segments }: Chunk = next
      const done = await runOn({ input, segments, targets: job.targets, stage, load, save }, stage)
      if (done.snapshot) snapshots.push(done.snapshot)
      // A layer before the last is read in the stage that has it.
      if (done.reads[0].width > 0 || !read) read = done.reads[0]
      next = done.stream
    }
    return { reads: [read!], snapshot: save ? joinedSnapshot(snapshots) : undefined }
  }

  const run = async ({
    input,
    segments,
    targets,
    notes,
  }: Packed<Asked<Note>>): Promise<Stages & { notes: Asked<Note>[] }> => {
    const job = { input, segments, targets }
    const computed = notes.filter(({ memory }) => !memory?.known)
    if (computed.length === 0) return { notes, reads: [noRows] }
    const cut = segments.slot.findIndex((slot) => slot >= 0)
    if (cut < 0) return { notes, reads: await runWhole(job, computed[0].memory?.sweep) }
    return { notes, ...(await runStages(job, computed[cut].memory ?? {})) }
  }
  const joined = buffers && ((inputs: Input[]) => buffers.joined(inputs as Float32Array[]))
  const packed = pack(admitted(), chunk, width, joined)
  try {
    for await (const { notes, reads, snapshot } of inOrder(packed, run, plan.depth)) {
      for await (const { item, last } of withLast(reads)) {
        let [at, s] = [0, 0]
        for (const { note, input, memory } of notes) {
          if (memory?.known) {
            for await (const { item: said, last } of withLast(memory.known))
              if (said.data.length > 0) yield { note, ...said, last }
            buffers?.give(input.buffer as ArrayBuffer)
            continue
          }
          const rows = item.rows[s++]
          const said = { data: item.data.subarray(at, at + rows * item.width), width: item.width }
          at += said.data.length
          await memory?.keep(said, last, snapshot)
          if (rows > 0) yield { note, ...said, last } // otherwise the sequence goes on
        }
      }
    }
  } finally {
    await pool.close()
  }
}

/** A piece on its way. */
interface Asked<Note> {
  note: Note
  input: Input
  /** Where answers are kept. */
  memory?: Memory
}

interface Stages {
  reads: AsyncIterable<Read> | Read[]
  snapshot?: Snapshot
}

const noRows: Read = { data: new Float32Array(0), width: 0, rows: new Int32Array(0) }

/** The parts that are read of a sequence, of one half of it after the other, each asked for when the one before it was taken. */
async function* partsOf(
  firsts: Promise<InferenceAnswer>[],
  next: (half: number) => Promise<InferenceAnswer>,
  done: () => void,
): AsyncGenerator<Read> {
  for (const [half, first] of firsts.entries())
    for (let answer = await first; answer.more; answer = await next(half)) yield answer.reads[0]
  done()
}

/** Each with whether it is the last. */
async function* withLast<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
): AsyncGenerator<{ item: Item; last: boolean }> {
  let held: Item | undefined
  for await (const item of items) {
    if (held !== undefined) yield { item: held, last: false }
    held = item
  }
  if (held !== undefined) yield { item: held, last: true }
}

/** The error (69) about an answer that is not all finite numbers, as weights that are too large give it; `name`: of the record. */
export function notFinite({ data }: { data: Float32Array }, name: string): UserError | null {
  if (firstNotFinite(data) < 0) return null
  return new UserError(`the model gives no finite number for ${name}`, exitCodes.unavailable)
}

/** Answers that are finite. Errors: 69 for one that is not; `nameOf`: see `notFinite`. */
export async function* finite<Note>(
  answers: AsyncIterable<Answer<Note>>,
  nameOf: (note: Note) => string,
): AsyncGenerator<Answer<Note>> {
  for await (const answer of answers) {
    const failure = notFinite(answer, nameOf(answer.note))
    if (failure) throw failure
    yield answer
  }
}
