import type { Device } from '../backends/open.js'
import type { Chunk } from '../engine/chunk.js'
import { type Packed, type Piece, pack } from '../engine/pack.js'
import { inOrder, WorkerPool } from '../engine/workers.js'
import { packageRoot } from '../root.js'
import type { ModelSpec, Weights } from '../spec.js'
import { reverseComplement } from '../tokens/dna.js'
import { dnaTokenizer } from '../tokens/tokenizer.js'
import type { InferenceResult, Wanted } from './inference.js'
import type { Stretch, StretchPiece } from './sequences.js'
import type { InferenceSetup } from './worker.js'

export type Strand = '+' | '-' | 'both'

export interface PredictOptions {
  device: Device
  threads: number
  /** Tokens per chunk, a multiple of the network's stride. */
  chunk: number
  strand: Strand
  wanted: Wanted
}

/** What the model says of one stretch (of one piece of it where all rows are wanted), on each strand that was asked for. */
export interface Prediction {
  stretch: Stretch
  /** One per strand, [rows, width]. */
  strands: Float32Array[]
  width: number
}

interface Note {
  stretch: Stretch
  lastStrand: boolean
}

/** Runs stretches of records over worker threads and gives what is wanted of them, in order. */
export async function* predict(
  pieces: AsyncIterable<StretchPiece>,
  model: { spec: ModelSpec; weights: Weights },
  { device, threads, chunk, strand, wanted }: PredictOptions,
): AsyncGenerator<Prediction> {
  const setup: InferenceSetup = { device, spec: model.spec, weights: share(model.weights), chunk, wanted }
  const script = new URL(`file://${packageRoot}/dist/src/tasks/worker.js`)
  const pool = new WorkerPool<Chunk, InferenceResult>(script, setup, threads)
  const run = async ({ input, segments, notes }: Packed<Note>) => {
    const result = await pool.run({ input, segments }, segments.continues)
    return { notes, ...result }
  }
  const packed = pack(strandsOf(pieces, model.spec, strand), chunk)
  try {
    let strands: Float32Array[] = []
    // Two jobs a thread: one at work, one waiting.
    for await (const { notes, data, width, rows } of inOrder(packed, run, 2 * threads)) {
      let at = 0
      for (const [s, { stretch, lastStrand }] of notes.entries()) {
        if (rows[s] === 0) continue // the stretch goes on
        strands.push(data.subarray(at, at + rows[s] * width))
        at += rows[s] * width
        if (!lastStrand) continue
        yield { stretch, strands, width }
        strands = []
      }
    }
  } finally {
    await pool.close()
  }
}

/** Token ids of each strand, one sequence after the other. */
async function* strandsOf(
  pieces: AsyncIterable<StretchPiece>,
  spec: ModelSpec,
  strand: Strand,
): AsyncGenerator<Piece<Note>> {
  const tokenizer = dnaTokenizer(spec.tokenizer)
  for await (const { stretch, codes, continues, goesOn } of pieces) {
    if (strand !== '-') {
      const note = { stretch, lastStrand: strand === '+' }
      yield { input: tokenizer.ids(codes, !goesOn), note, continues, goesOn }
    }
    if (strand !== '+') {
      if (continues || goesOn) throw new Error('the other strand needs the whole stretch')
      yield {
        input: tokenizer.ids(reverseComplement(codes), true),
        note: { stretch, lastStrand: true },
        continues,
        goesOn,
      }
    }
  }
}

/** Weights in shared memory: all threads start from one copy. */
function share(weights: Weights): Weights {
  return new Map(
    [...weights].map(([name, { rows, cols, data }]) => {
      const shared = new Float32Array(new SharedArrayBuffer(data.byteLength))
      shared.set(data)
      return [name, { rows, cols, data: shared }]
    }),
  )
}
