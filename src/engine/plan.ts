import { totalmem } from 'node:os'
import type { GpuFacts } from '../backends/backend.js'
import { type Device, devices } from '../backends/registry.js'
import type { Weights } from '../layers/params.js'
import type { ModelSpec } from '../spec.js'
import { footprint, tokensPerRow } from './footprint.js'
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
  /** Bytes that the sequences being swept may take together on the host. */
  sweepBytes: number
  /** Bytes of a residual stream that may wait on the device between the layers of a sweep; of a larger one all waits on the host. */
  streamBytes: number
}

/**
 * Rows of the residual stream per chunk. DNA and token ids: large enough for the kernels, small enough for the caches (docs/benchmarks.md).
 * Audio: 20 s at 25 rows a second (docs/decisions.md).
 */
const rowsPerChunk = { tokens: 2048, audio: 512 }

/**
 * What a chunk may take of a GPU. Of a Mamba that is about 2^18 channels of pieces of 64 rows, a thread each, and as many as the largest
 * card runs at a time, whatever the width of the model (docs/decisions.md).
 */
const gpuChunkBytes = 512 * 2 ** 20

/** Rows of a piece of a scan there. */
const pieceRows = 64

/** Of audio there: 80 s at 25 rows a second, a few windows of recordings that are cut into them. */
const gpuAudioRows = 2048

/** Of a GPU, for the residual stream of a sweep: a million rows of 256. */
const gpuStreamBytes = 2 ** 30

/** All of a small model; of a large one a worker would hold a copy that takes more than all else (docs/decisions.md). */
const keptWeights = 64 * 2 ** 20

export interface PlanOptions {
  device: Device
  gpu?: GpuFacts
  /** Tokens; rounded up to a multiple of the stride. A GPU may take fewer. */
  chunk?: number
  /** Tokens of the sequences that are not to be cut, where no chunk is asked for. */
  uncut?: number
  threads: number
}

export function planOf(spec: ModelSpec, { device, gpu, chunk, uncut = 0, threads }: PlanOptions): Plan {
  const stride = tokensPerRow(spec)
  const workers = devices[device].lanes === 1 ? 1 : threads
  const wanted = Math.ceil((chunk ?? Math.max(uncut, usualRows(spec, gpu) * stride)) / stride)
  return {
    chunk: Math.max(1, Math.min(wanted, mostRows(spec, gpu))) * stride,
    workers,
    stages: stagesOf(spec.blocks.length, workers),
    depth: 2 * workers,
    keptWeights,
    sweepBytes: 0.5 * machineBytes(),
    streamBytes: gpu ? gpuStreamBytes : 0,
  }
}

/** Rows of the residual stream in a chunk. A processor that plays a GPU has no more cores for it than for itself. */
function usualRows(spec: ModelSpec, gpu?: GpuFacts): number {
  const audio = spec.input.kind === 'log-mel'
  if (!gpu || gpu.software) return rowsPerChunk[audio ? 'audio' : 'tokens']
  const rows = Math.ceil(gpuChunkBytes / 4 / footprint(spec).together / pieceRows) * pieceRows
  return audio ? Math.min(rows, gpuAudioRows) : rows
}

/** Rows of which no tensor is larger than a GPU takes. */
const mostRows = (spec: ModelSpec, gpu?: GpuFacts): number =>
  gpu ? Math.floor(gpu.tensorBytes / 4 / footprint(spec).widest) : Number.POSITIVE_INFINITY

/** Blocks in as many ranges of nearly equal lengths as there are workers to run them. */
function stagesOf(blocks: number, workers: number): BlockRange[] {
  const count = Math.max(1, Math.min(workers, blocks))
  return Array.from({ length: count }, (_, i) => ({
    from: Math.floor((i * blocks) / count),
    to: Math.floor(((i + 1) * blocks) / count),
  }))
}

/**
 * Bytes on the host while one sequence of so many tokens is swept: the residual stream, and where both strands are read (Caduceus-PS)
 * what the first strand gave, the same of the second and both merged, twice as wide.
 */
export function bytesToSweep(spec: ModelSpec, tokens: number): number {
  const stream = (tokens / tokensPerRow(spec)) * spec.d_model * 4
  return spec.reverse_complement ? 4 * stream : stream
}

/** Bytes of weights as a device keeps them: as they are stored, in memory that all threads share, or on a GPU as float32. */
export function weightBytes(weights: Weights, gpu?: GpuFacts): number {
  return [...weights.values()].reduce((sum, { data, rows, cols }) => sum + (gpu ? 4 * rows * cols : data.byteLength), 0)
}

/** Bytes of the chunks that are computed at a time, at the most. */
export const chunkBytes = (spec: ModelSpec, { chunk, workers }: Plan): number =>
  (workers * chunk * 4 * footprint(spec).together) / tokensPerRow(spec)

/** Memory of the machine, or of the container. */
function machineBytes(): number {
  const allowed = process.constrainedMemory()
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem()
}
