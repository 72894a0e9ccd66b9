import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { DeviceUse, FactorType } from '../backends/backend.js'
import { type Device, devices } from '../backends/registry.js'
import type { Chunk } from '../engine/chunk.js'
import { type Neighbours, PortNeighbour } from '../engine/neighbour.js'
import { type BlockRange, Network } from '../engine/network.js'
import { inOne, type Output, type Read, readFor } from '../engine/outputs.js'
import { joinedReads, type Pushed, Session, type Snapshot } from '../engine/session.js'
import { serve } from '../engine/workers.js'
import type { Weights } from '../layers/params.js'
import { uploadWeights } from '../layers/params.js'
import type { ModelSpec } from '../spec.js'
import { appendedTokens } from '../tokens/tokenizer.js'

/** What a worker thread of inference is started with; `weights` lie in shared memory. */
export interface InferenceSetup {
  device: Device
  spec: ModelSpec
  weights: Weights
  chunk: number
  wanted: Output
  keptWeights: number
  deviceSpoolBytes: number
  matrices?: FactorType
  /** See `SpoolPlace`. */
  half?: boolean
  /** Cut sequences that may be under way at once; default 1. */
  slots?: number
  /** What each worker runs of sequences that are cut into chunks. */
  stages: readonly BlockRange[]
}

/** Whole sequences, through all blocks; or cut ones, through those of a stage. */
export interface ChunkJob extends Chunk {
  stage?: number
  /** Where the sequence stands whose next piece is among them, if the stage does not know. */
  load?: Snapshot
  /** Where it stands behind them is wanted, too. */
  save?: boolean
  /** The folder of a temporary file for what would else take memory. */
  folder?: string
  /** See `SpoolPlace`. */
  kept?: string
  /** The chunk is one half of a sequence; the worker that has the other one is at the other end of the port. */
  other?: { port: MessagePort; side: keyof Neighbours; tokens: number }
  /** The number under which the parts of a long sequence are asked for, after the first; absent: all come at once. */
  parts?: number
}

/** The next part of what a job with this number gives. */
export interface PartJob {
  next: number
}

export type InferenceJob = ChunkJob | PartJob

/** Seconds that it took to open the device, to hand it the weights and to compute the first chunk; then what the device has taken. */
export interface Started {
  device: number
  weights: number
  chunk: number
  use?: DeviceUse
}

export interface InferenceAnswer extends Pushed {
  /** The buffer of the job's input goes back to where it came from. */
  inputBuffer?: ArrayBuffer
  /** Of the blocks of the stage, where it was wanted. */
  snapshot?: Snapshot
  /** There are more parts. */
  more: boolean
  /** With the first answer. */
  started?: Started
}

const { device, spec, weights, chunk, wanted, keptWeights, deviceSpoolBytes, matrices, half, slots, stages } =
  workerData as InferenceSetup
const appended = appendedTokens(spec, wanted.head === true)
const options = { chunk, deviceSpoolBytes, half, outputs: readFor(wanted), slots, appended }
const began = performance.now()
const secondsSince = (from: number) => (performance.now() - from) / 1000
let first = true

/** Sequences of which there may be more parts. */
const open = new Map<number, { parts: AsyncGenerator<Read[]>; input: Chunk['input'] }>()

/** Of a whole sequence, or of half of one. */
async function* partsOf(
  session: Session,
  { input, segments, targets, folder, kept, other }: ChunkJob,
): AsyncGenerator<Read[]> {
  const neighbour = other && new PortNeighbour(other.port, other.tokens)
  try {
    const neighbours = other && { [other.side]: neighbour }
    for await (const reads of session.parts({ input, segments, targets }, { folder, kept, neighbours }))
      yield [inOne(reads)]
  } finally {
    neighbour?.close()
  }
}

async function nextPart(number: number): Promise<InferenceAnswer> {
  const { parts, input } = open.get(number)!
  const { value, done } = await parts.next()
  if (!done) return { reads: value, stream: null, more: true }
  open.delete(number)
  return { reads: [], stream: null, more: false, inputBuffer: input.buffer as ArrayBuffer }
}

serve(
  parentPort!,
  async () => {
    const backend = await devices[device].open({ keptWeights, matrices })
    const deviceSeconds = secondsSince(began)
    const tensors = uploadWeights(backend, weights)
    const whole = new Session(new Network(backend, spec, tensors), options)
    const staged = stages.map((range) => new Session(new Network(backend, spec, tensors, range), options))
    const times = { device: deviceSeconds, weights: secondsSince(began) - deviceSeconds }
    return { whole, staged, times, backend }
  },
  async ({ whole, staged, times, backend }, job: InferenceJob) => {
    const from = performance.now()
    let result: InferenceAnswer
    if ('next' in job) result = await nextPart(job.next)
    else {
      const { stage, load, save, parts, input, segments, targets } = job
      const inputBuffer = input.buffer as ArrayBuffer
      if (parts !== undefined) {
        open.set(parts, { parts: partsOf(whole, job), input })
        result = await nextPart(parts)
      } else if (stage === undefined) {
        const reads = await joinedReads(partsOf(whole, job))
        result = { reads, stream: null, more: false, inputBuffer }
      } else {
        const session = staged[stage]
        if (load) session.restore(load)
        const pushed = await session.push({ input, segments, targets })
        const snapshot = save ? await session.snapshot() : undefined
        result = { ...pushed, reads: [inOne(pushed.reads)], snapshot, more: false, inputBuffer }
      }
    }
    if (first) result.started = { ...times, chunk: secondsSince(from), use: backend.use?.() }
    first = false
    const { reads, stream, inputBuffer } = result
    const buffers = [...reads.map(({ data }) => data), ...(stream ? [stream.input] : [])]
    const transfer = buffers.map(({ buffer }) => buffer as ArrayBuffer)
    return { result, transfer: inputBuffer ? [...transfer, inputBuffer] : transfer }
  },
)
