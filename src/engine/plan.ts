import { totalmem } from 'node:os'
import { type Device, devices } from '../backends/registry.js'
import type { ModelSpec } from '../spec.js'
import type { BlockRange } from './network.js'

/** What decides about memory and speed of a run, and never about its result. */
export interface Plan {
  /** Token rows computed at a time, a multiple of the model's stride. */
  chunk: number
  /** Each with a backend of its own. */
  workers: number
  /** Which blocks each worker runs of a sequence that is cut into chunks: while one is at a chunk, the one before it is at the next. */
  stages: BlockRange[]
  /** Chunks under way: of each worker one at work and one waiting. */
  depth: number
  /** Bytes of weights that each worker keeps as float32; it reads the others from shared memory whenever it needs them. */
  keptWeights: number
  /** Bytes that the sequences being swept may take together. */
  sweepBytes: number
}

/**
 * Rows of the residual stream per chunk. DNA and token ids: large enough for the kernels, small enough for the caches (docs/benchmarks.md).
 * Audio: 20 s at 25 rows a second (docs/decisions.md).
 */
const rowsPerChunk = { tokens: 2048, audio: 512 }

/** All of a small model; of a large one a worker would hold a copy that takes more than all else (docs/decisions.md). */
const keptWeights = 64 * 2 ** 20

export interface PlanOptions {
  device: Device
  /** Tokens; rounded up to a multiple of the stride. */
  chunk?: number
  threads: number
}

export function planOf(spec: ModelSpec, { device, chunk, threads }: PlanOptions): Plan {
  const stride = tokensPerRow(spec)
  const workers = devices[device].lanes === 1 ? 1 : threads
  const rows = rowsPerChunk[spec.input.kind === 'log-mel' ? 'audio' : 'tokens']
  return {
    chunk: Math.ceil((chunk ?? rows * stride) / stride) * stride,
    workers,
    stages: stagesOf(spec.blocks.length, workers),
    depth: 2 * workers,
    keptWeights,
    sweepBytes: 0.5 * machineBytes(),
  }
}

/** Blocks in as many ranges of nearly equal lengths as there are workers to run them. */
function stagesOf(blocks: number, workers: number): BlockRange[] {
  const count = Math.max(1, Math.min(workers, blocks))
  return Array.from({ length: count }, (_, i) => ({
    from: Math.floor((i * blocks) / count),
    to: Math.floor(((i + 1) * blocks) / count),
  }))
}

/** Tokens per row of the residual stream. */
export const tokensPerRow = ({ stem }: ModelSpec): number => stem.reduce((product, { stride }) => product * stride, 1)

/**
 * Bytes on the host while one sequence of so many tokens is swept: the residual stream, and where both strands are read (Caduceus-PS)
 * what the first strand gave, the same of the second and both merged, twice as wide.
 */
export function bytesToSweep(spec: ModelSpec, tokens: number): number {
  const stream = (tokens / tokensPerRow(spec)) * spec.d_model * 4
  return spec.reverse_complement ? 4 * stream : stream
}

/** Memory of the machine, or of the container. */
function machineBytes(): number {
  const allowed = process.constrainedMemory()
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem()
}
