import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Device } from '../backends/registry.js'
import type { Chunk, Input } from '../engine/chunk.js'
import { inOrder } from '../engine/in-order.js'
import type { Output, Read } from '../engine/outputs.js'
import { type Packed, type Piece, pack } from '../engine/pack.js'
import { bytesToSweep, type Plan } from '../engine/plan.js'
import { WorkerPool } from '../engine/workers.js'
import { exitCodes, UserError } from '../errors.js'
import { isCausal } from '../layers/mixers/registry.js'
import type { Weights } from '../layers/params.js'
import type { BufferPool } from '../runtime/buffer-pool.js'
import { firstNotFinite } from '../runtime/numbers.js'
import { packageRoot } from '../runtime/package-root.js'
import type { ModelSpec } from '../spec.js'
import { Budget } from './budget.js'
import type { Span } from './windows.js'
import type { InferenceAnswer, InferenceJob, InferenceSetup, Started } from './worker.js'

export interface PredictOptions {
  device: Device
  plan: Plan
  wanted: Output
  /** Takes the buffers of inputs that have been read. */
  buffers?: BufferPool
  /** Called once for each worker. */
  onStarted?: (started: Started) => void
}

/** What was wanted of a sequence (of one piece of it where all rows are wanted): [rows, width]. */
export interface Answer<Note> {
  note: Note
  data: Float32Array
  width: number
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
}

/** Runs sequences over worker threads and gives what is wanted of them, in order. The inputs are given away. */
export async function* predict<Note>(
  pieces: AsyncIterable<Piece<Note>>,
  model: { spec: ModelSpec; weights: Weights },
  { device, plan, wanted, buffers, onStarted }: PredictOptions,
): AsyncGenerator<Answer<Note>> {
  const { spec } = model
  const { chunk, keptWeights, streamBytes, stages } = plan
  const { weights } = model
  const setup: InferenceSetup = { device, spec, weights, chunk, wanted, keptWeights, streamBytes, stages }
  const script = pathToFileURL(join(packageRoot, 'dist/src/tasks/worker.js'))
  const pool = new WorkerPool<InferenceJob, InferenceAnswer>(script, setup, plan.workers)
  const width = spec.input.kind === 'tokens' ? 1 : spec.d_embed
  const sweeps = new Budget(plan.sweepBytes)

  const runOn = async (job: InferenceJob, worker?: number): Promise<InferenceAnswer> => {
    const answer = await pool.run(job, [job.input.buffer as ArrayBuffer], worker)
    if (answer.started) onStarted?.(answer.started)
    return answer
  }

  /** Whole sequences go to any worker. */
  const runWhole = async (job: Chunk): Promise<Read> => {
    const rows = job.input.length / width
    const bytes = rows > chunk && !isCausal(spec) ? bytesToSweep(spec, rows) : 0
    await sweeps.take(bytes)
    try {
      const { reads, inputBuffer } = await runOn(job)
      buffers?.give(inputBuffer)
      return reads[0]
    } finally {
      sweeps.give(bytes)
    }
  }

  /** Cut sequences go from stage to stage: worker i keeps the state of the blocks of stage i. */
  const runStages = async (job: Chunk): Promise<Read> => {
    let next: Chunk | null = job
    let read: Read | undefined
    for (let stage = 0; next; stage++) {
      const { input, segments }: Chunk = next
      const done = await runOn({ input, segments, stage }, stage)
      if (stage === 0) buffers?.give(done.inputBuffer)
      // A layer before the last is read in the stage that has it.
      if (done.reads[0].width > 0 || !read) read = done.reads[0]
      next = done.stream
    }
    return read!
  }

  const run = async ({ input, segments, notes }: Packed<Note>) => {
    const job = { input, segments }
    return { notes, read: await (segments.slot.some((slot) => slot >= 0) ? runStages(job) : runWhole(job)) }
  }
  const joined = buffers && ((inputs: Input[]) => buffers.joined(inputs as Float32Array[]))
  const packed = pack(pieces, chunk, width, joined)
  try {
    for await (const { notes, read } of inOrder(packed, run, plan.depth)) {
      let at = 0
      for (const [s, note] of notes.entries()) {
        const rows = read.rows[s]
        if (rows === 0) continue // the sequence goes on
        yield { note, data: read.data.subarray(at, at + rows * read.width), width: read.width }
        at += rows * read.width
      }
    }
  } finally {
    await pool.close()
  }
}

/** The error (69) about an answer that is not all finite numbers, as weights that are too large give it; `name`: of the record. */
export function notFinite({ data }: { data: Float32Array }, name: string): UserError | null {
  if (firstNotFinite(data) < 0) return null
  return new UserError(`the model gives no finite number for ${name}`, exitCodes.unavailable)
}
