import type { FactorType, GpuFacts } from '../backends/backend.js'
import { type Device, devices, type Precision } from '../backends/registry.js'
import { exitCodes, UserError } from '../errors.js'
import type { Weights } from '../layers/params.js'
import { availableMemory } from '../runtime/memory.js'
import type { ModelSpec } from '../spec.js'
import { mebibytesUp, sizeFlag } from '../text/size.js'
import { footprint, tokensPerRow } from './footprint.js'
import { heldBytes, readsWhole, runBytes } from './memory.js'
import type { BlockRange } from './network.js'
import { headNumbers, type Output } from './outputs.js'

/** What decides about memory and speed of a run, and never about its result; but for float16, which was asked for. */
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
  /**
   * Bytes of memory that all of it may take, and that it takes however long its sequences are; and the least that it would have to be
   * allowed so that a sequence of so many bytes is held whole.
   */
  memory: { allowed: number; run: number; leastFor: (held: number) => number }
  /** Bytes that sequences which are held whole may take together, with their spools as far as those lie in memory. */
  wholeBytes: number
  /** Bytes of the largest spool that lies on the device, which takes one at a time; a larger one lies on the host as a whole. */
  deviceSpoolBytes: number
  /** What a GPU makes matrix products by; absent: its threads. */
  matrices?: FactorType
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

/** Of a GPU, for the spool of a sweep: a million rows of 256, nearly. WebGPU does not say how much memory a card has. */
const gpuSpoolBytes = 2 ** 30

/** All of a small model; of a large one a worker would hold a copy that takes more than all else (docs/decisions.md). */
const keptWeights = 64 * 2 ** 20

export interface PlanOptions {
  device: Device
  gpu?: GpuFacts
  /** Default: float32. */
  precision?: Precision
  /** Tokens; rounded up to a multiple of the stride. A GPU may take fewer. */
  chunk?: number
  /** Tokens of the sequences that are not to be cut, where no chunk is asked for. */
  uncut?: number
  threads: number
  /** Tokens of the longest sequence, as far as that is known. */
  longest?: number
  /** Bytes that the run may take; default: half of what the machine allows. */
  maxMemory?: number
  /** What is read; absent: it may be the logits of all rows. */
  wanted?: Output
  /** Bytes that the run takes besides. */
  besides?: number
  weights: Weights
}

/** Rows to which a chunk is made smaller to save memory, and to which, after that, where nothing else is left: it takes longer. */
const fewRows = 512
const fewestRows = 128

/** Share of the memory that is left to sequences that are held whole, where their lengths are not known or too large, if it can be. */
const wholeShare = 0.25

/**
 * The first of the plans that the memory allows: as many workers as there are threads, with chunks as large as usual, then smaller ones;
 * then fewer workers. Room is kept for sequences that are held whole. Errors: UserError with exit code 2 where not even the smallest plan
 * keeps within the `maxMemory` that was asked for.
 */
export function planOf(spec: ModelSpec, options: PlanOptions): Plan {
  const { maxMemory, uncut, longest } = options
  const plans = plansOf(spec, options)
  const smallest = plans[plans.length - 1]
  const whole = readsWhole(spec) && uncut === undefined
  const choose = (allowed: number): Sized | undefined => {
    const leaving = (room: number) => plans.find(({ run }) => run + room <= allowed)
    if (!whole) return leaving(0)
    const known = longest === undefined ? undefined : leaving(heldBytes(spec, longest))
    return known ?? leaving(wholeShare * allowed) ?? [smallest].find(({ run }) => run <= allowed)
  }
  const leastFor = (held: number): number => {
    const steps = plans.map(({ run }) => mebibytesUp(run + held)).sort((a, b) => a - b)
    return steps.find((allowed) => allowed - (choose(allowed)?.run ?? allowed) >= held) ?? steps[steps.length - 1]
  }
  const allowed = maxMemory ?? availableMemory() / 2
  const chosen = choose(allowed)
  if (!chosen && maxMemory !== undefined) {
    const least = `this model needs at least ${sizeFlag(leastFor(0))}`
    throw new UserError(`--max-memory ${sizeFlag(maxMemory)}: ${least}`, exitCodes.usage)
  }
  const { run, ...plan } = chosen ?? smallest
  return { ...plan, memory: { allowed, run, leastFor }, wholeBytes: Math.max(0, allowed - run) }
}

/** A plan with the bytes that it takes however long its sequences are. */
type Sized = Omit<Plan, 'memory' | 'wholeBytes'> & { run: number }

/** From the one that takes most on. */
function plansOf(spec: ModelSpec, options: PlanOptions): Sized[] {
  const { device, gpu, precision = 'f32', threads, besides = 0, longest, weights, wanted } = options
  const matrices = gpu?.matrices.find((type) => type === precision)
  const bytes = { stored: weightBytes(weights), widened: widenedBytes(weights) }
  const most = devices[device].lanes === 1 ? 1 : threads
  const workers = Array.from({ length: most }, (_, fewer) => crewOf(spec, most - fewer))
  return [fewRows, fewestRows].flatMap((least) =>
    workers.flatMap((crew) =>
      chunkSizes(spec, options, least).map((chunk) => {
        const plan = { chunk, ...crew, keptWeights, deviceSpoolBytes: gpu ? gpuSpoolBytes : 0, matrices }
        return { ...plan, run: besides + runBytes(spec, plan, bytes, longest, gpu, wanted) }
      }),
    ),
  )
}

/** The share of one of several lanes that work side by side, from 0: of the workers and of what is held whole. */
export function laneOf(spec: ModelSpec, plan: Plan, lane: number, lanes: number): Plan {
  const workers = Math.floor((plan.workers + lane) / lanes)
  return { ...plan, ...crewOf(spec, workers), wholeBytes: plan.wholeBytes / lanes }
}

const crewOf = (spec: ModelSpec, workers: number) => ({
  workers,
  stages: stagesOf(spec.blocks.length, workers),
  depth: 2 * workers,
})

/** Tokens in a chunk, from what is usual down to `least` rows; one size where it was asked for. */
function chunkSizes(spec: ModelSpec, { gpu, chunk, wanted, uncut = 0 }: PlanOptions, least: number): number[] {
  const stride = tokensPerRow(spec)
  const { head } = spec
  // A sequence whose length the model fixes is not cut.
  const needed = Math.max(least, ((head?.kind === 'classes' && head.length) || 0) / stride)
  const asked = Math.ceil((chunk ?? Math.max(uncut, usualRows(spec, gpu, wanted) * stride)) / stride)
  const sizes: number[] = []
  let rows = Math.max(1, Math.min(asked, mostRows(spec, gpu, wanted)))
  do {
    sizes.push(rows * stride)
    rows = Math.ceil(rows / 2)
  } while (chunk === undefined && rows >= needed)
  return sizes
}

/** Rows of the residual stream in a chunk. A processor that plays a GPU has no more cores for it than for itself. */
function usualRows(spec: ModelSpec, gpu?: GpuFacts, wanted?: Output): number {
  const audio = spec.input.kind === 'log-mel'
  if (!gpu || gpu.software) return rowsPerChunk[audio ? 'audio' : 'tokens']
  const rows =
    Math.ceil(gpuChunkBytes / 4 / footprint(spec, headNumbers(spec, wanted)).together / pieceRows) * pieceRows
  return audio ? Math.min(rows, gpuAudioRows) : rows
}

/** Rows of which no tensor is larger than a GPU takes. */
const mostRows = (spec: ModelSpec, gpu?: GpuFacts, wanted?: Output): number =>
  gpu ? Math.floor(gpu.tensorBytes / 4 / footprint(spec, headNumbers(spec, wanted)).widest) : Number.POSITIVE_INFINITY

/** Blocks in as many ranges of nearly equal lengths as there are workers to run them. */
function stagesOf(blocks: number, workers: number): BlockRange[] {
  const count = Math.max(1, Math.min(workers, blocks))
  return Array.from({ length: count }, (_, i) => ({
    from: Math.floor((i * blocks) / count),
    to: Math.floor(((i + 1) * blocks) / count),
  }))
}

/** Bytes of weights as they are stored, in memory that all threads share, and on a GPU. */
export const weightBytes = (weights: Weights): number =>
  [...weights.values()].reduce((sum, { data }) => sum + data.byteLength, 0)

/** The same as float32: as a worker has those that it keeps. */
const widenedBytes = (weights: Weights): number =>
  [...weights.values()].reduce((sum, { rows, cols }) => sum + 4 * rows * cols, 0)

/** Bytes of the chunks that are computed at a time, at the most. */
export const chunkBytes = (spec: ModelSpec, { chunk, workers }: Plan, wanted?: Output): number =>
  (workers * chunk * 4 * footprint(spec, headNumbers(spec, wanted)).together) / tokensPerRow(spec)
