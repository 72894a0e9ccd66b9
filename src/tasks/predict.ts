import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Device } from '../backends/open.js'
import type { Chunk, Input } from '../engine/chunk.js'
import { type Packed, type Piece, pack } from '../engine/pack.js'
import { inOrder, WorkerPool } from '../engine/workers.js'
import { exitCodes, UserError } from '../errors.js'
import { firstNotFinite } from '../runtime/numbers.js'
import { packageRoot } from '../runtime/package-root.js'
import type { ModelSpec, Weights } from '../spec.js'
import type { Wanted } from './inference.js'
import type { Stretch } from './sequences.js'
import type { Spare } from './spare.js'
import type { InferenceAnswer, InferenceSetup } from './worker.js'

export interface PredictOptions {
  device: Device
  threads: number
  /** Tokens per chunk, a multiple of the network's stride. */
  chunk: number
  wanted: Wanted
  /** Takes the buffers of inputs that have been read. */
  spare?: Spare
}

/** What was wanted of a sequence (of one piece of it where all rows are wanted): [rows, width]. */
export interface Answer<Note> {
  note: Note
  data: Float32Array
  width: number
}

/**
 * What the model says of one stretch, on each strand that was asked for; a recording has one. Where all rows of a streamed
 * stretch are wanted, it comes in several predictions.
 */
export interface Prediction {
  /** Its `end` is where it ends in the last prediction, how far it was read in those before. */
  stretch: Stretch
  /** The last prediction on this stretch. */
  last: boolean
  /** One per strand, [rows, width]. */
  strands: Float32Array[]
  width: number
}

/** Runs sequences over worker threads and gives what is wanted of them, in order. The inputs are given away. */
export async function* predict<Note>(
  pieces: AsyncIterable<Piece<Note>>,
  model: { spec: ModelSpec; weights: Weights },
  { device, threads, chunk, wanted, spare }: PredictOptions,
): AsyncGenerator<Answer<Note>> {
  const { spec } = model
  const setup: InferenceSetup = { device, spec, weights: share(model.weights), chunk, wanted }
  const script = pathToFileURL(join(packageRoot, 'dist/src/tasks/worker.js'))
  const pool = new WorkerPool<Chunk, InferenceAnswer>(script, setup, threads)
  const run = async ({ input, segments, notes }: Packed<Note>) => {
    const { inputBuffer, ...result } = await pool.run({ input, segments }, segments.continues, [
      input.buffer as ArrayBuffer,
    ])
    spare?.give(inputBuffer)
    return { notes, ...result }
  }
  const joined = spare && ((inputs: Input[]) => spare.joined(inputs as Float32Array[]))
  const packed = pack(pieces, chunk, spec.input.kind === 'tokens' ? 1 : spec.d_embed, joined)
  try {
    // Two jobs a thread: one at work, one waiting.
    for await (const { notes, data, width, rows } of inOrder(packed, run, 2 * threads)) {
      let at = 0
      for (const [s, note] of notes.entries()) {
        if (rows[s] === 0) continue // the sequence goes on
        yield { note, data: data.subarray(at, at + rows[s] * width), width }
        at += rows[s] * width
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

/** Weights in shared memory: all threads start from one copy. */
export function share(weights: Weights): Weights {
  return new Map(
    [...weights].map(([name, matrix]) => {
      if (matrix.data.buffer instanceof SharedArrayBuffer) return [name, matrix]
      const shared = new Float32Array(new SharedArrayBuffer(matrix.data.byteLength))
      shared.set(matrix.data)
      return [name, { ...matrix, data: shared }]
    }),
  )
}
