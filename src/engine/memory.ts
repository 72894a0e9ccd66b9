import type { GpuFacts } from '../backends/backend.js'
import { familyOf, isCausal } from '../layers/mixers/registry.js'
import { Params } from '../layers/params.js'
import type { ModelSpec } from '../spec.js'
import { footprint, headWidth, tokensPerRow } from './footprint.js'
import { mostLogits } from './likelihood.js'
import { headNumbers, type Output } from './outputs.js'

const mebibyte = 2 ** 20

/** Bytes of the process, as they were measured (docs/decisions.md): Node, the program, its readers and writers, and garbage. */
const programBytes = 116 * mebibyte

/** Of a thread that computes: its part of V8, compiled kernels, ONNX Runtime and what that takes for a product. */
const workerBytes = 30 * mebibyte

/** Of a model that hears, besides: a decoder, filters and the search for words. */
const audioBytes = 40 * mebibyte

/** Of logits of so many rows that are made, copied by the product and read a few rows at a time, and garbage of the reading. */
const likelihoodBytes = (spec: ModelSpec, rows: number): number => {
  const V = headWidth(spec)
  return 32 * Math.min(rows * V, Math.max(V, mostLogits))
}

/** Where allocations leave gaps in the memory of a backend. */
const gaps = 1.25

/** Numbers of a token as a model is given it. */
const inputWidth = ({ input, d_embed }: ModelSpec) => (input.kind === 'tokens' ? 1 : d_embed)

/** Numbers of the widest row that may be read, of each row of a chunk. */
const outputWidth = (spec: ModelSpec, wanted?: Output) => {
  const hidden = (spec.reverse_complement ? 2 : 1) * spec.d_model
  if (wanted?.likelihood) return 1 + (wanted.embedding ? hidden : 0) // a sequence may be one row
  return Math.max(hidden, headNumbers(spec, wanted))
}

/** What of a plan decides how much memory it takes (`Plan`). */
export interface Crew {
  chunk: number
  workers: number
  depth: number
  keptWeights: number
}

/** What a run takes however long its sequences are: the program, the weights, and the chunks at work, on their way and waiting. */
export function runBytes(
  spec: ModelSpec,
  { chunk, workers, depth, keptWeights }: Crew,
  weights: { stored: number; widened: number },
  longest = Number.POSITIVE_INFINITY,
  gpu?: GpuFacts,
  wanted?: Output,
): number {
  const rows = chunk / tokensPerRow(spec)
  // On a GPU neither chunks nor weights lie in the memory of the process.
  const kept = gpu
    ? 0
    : Math.min(keptWeights, weights.widened) +
      4 * rows * footprint(spec, headNumbers(spec, wanted)).together * gaps +
      cacheBytes(spec, longest)
  const input = 4 * chunk * inputWidth(spec)
  const output = 4 * rows * outputWidth(spec, wanted)
  return (
    programBytes +
    (spec.input.kind === 'log-mel' ? audioBytes : 0) +
    weights.stored +
    workers * (workerBytes + kept + (wanted?.likelihood ? likelihoodBytes(spec, rows) : 0)) +
    depth * (2 * input + 2 * output)
  )
}

/** Of what a sequence of so many tokens, of any length if it is not known, leaves in the caches of a model. They grow by doubling. */
const cacheBytes = (spec: ModelSpec, longest: number): number =>
  spec.blocks.reduce((sum, { mixer }) => {
    const cache = familyOf(mixer).cached?.(mixer)
    return sum + (cache ? 4 * cache.numbers * Math.min(cache.rows, (2 * longest) / tokensPerRow(spec)) : 0)
  }, 0)

/** A sequence is held whole before it is computed, unless it is read forward only and in pieces. */
export const readsWhole = (spec: ModelSpec) => !isCausal(spec) || spec.reverse_complement !== undefined

/**
 * Of a sequence that is held whole: its letters, twice while they are joined, ids for the strand that runs and for the one that waits;
 * of audio its features, twice.
 */
export const heldBytes = (spec: ModelSpec, tokens: number): number =>
  tokens * (spec.input.kind === 'tokens' ? 12 : 8 * inputWidth(spec))

/** Numbers that a model which reads forward carries of one sequence. */
export const carriedNumbers = ({ blocks, d_model }: ModelSpec): number =>
  blocks.reduce((sum, { mixer }) => {
    const family = familyOf(mixer)
    // Of weights that are not there their shapes are enough.
    const shapes = new Map(family.weights(mixer, d_model).map(({ name, rows, cols }) => [name, { rows, cols }]))
    const states = Object.values(family.make(mixer, new Params(shapes)).states('forward'))
    return sum + states.reduce((sum, { rows, cols }) => sum + rows * cols, 0)
  }, 0)

/** Numbers of the largest state that a block carries backwards. */
export const reverseNumbers = ({ blocks, d_model }: ModelSpec): number =>
  Math.max(
    0,
    ...blocks.map(({ mixer }) =>
      Object.values(familyOf(mixer).reverseStates?.(mixer, d_model) ?? {}).reduce(
        (sum, { rows, cols }) => sum + rows * cols,
        0,
      ),
    ),
  )

/** What of a run decides how large its spools are. */
export interface SpoolOptions {
  half?: boolean
  /** How many outputs are read. */
  outputs?: number
}

/**
 * Of the spool of a sequence that is swept: the residual stream and the reverse states at the cuts; where both strands are read
 * (Caduceus-PS) also what each of them gave for each output. `half`: the stream is float16.
 */
export function spoolBytes(
  spec: ModelSpec,
  chunk: number,
  tokens: number,
  { half = false, outputs = 1 }: SpoolOptions = {},
): number {
  if (tokens <= chunk || !readsWhole(spec)) return 0
  const stride = tokensPerRow(spec)
  const stream = (half ? 2 : 4) * Math.ceil(tokens / stride) * spec.d_model
  const cuts = 4 * Math.ceil(tokens / chunk) * reverseNumbers(spec)
  const strands = spec.reverse_complement ? 8 * outputs * tokens * Math.max(spec.d_model, headWidth(spec)) : 0
  return stream + cuts + strands
}

/** Whether such a spool lies in the memory of the device (see `Plan`); float16 is made on the host. */
export const staysOnDevice = (
  spec: ModelSpec,
  { chunk, deviceSpoolBytes = 0 }: { chunk: number; deviceSpoolBytes?: number },
  tokens: number,
  options: SpoolOptions = {},
): boolean => !options.half && spoolBytes(spec, chunk, tokens, options) < deviceSpoolBytes
