import { parentPort, workerData } from 'node:worker_threads'
import type { DeviceUse } from '../backends/backend.js'
import { type Device, devices } from '../backends/registry.js'
import type { Chunk } from '../engine/chunk.js'
import { type BlockRange, Network } from '../engine/network.js'
import type { Output } from '../engine/outputs.js'
import { type Pushed, Session } from '../engine/session.js'
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
  streamBytes: number
  /** What each worker runs of sequences that are cut into chunks. */
  stages: readonly BlockRange[]
}

/** Whole sequences, through all blocks; or cut ones, through those of a stage. */
export interface InferenceJob extends Chunk {
  stage?: number
}

/** Seconds that it took to open the device, to hand it the weights and to compute the first chunk; then what the device has taken. */
export interface Started {
  device: number
  weights: number
  chunk: number
  use?: DeviceUse
}

/** The buffer of the job's input goes back to where it came from. */
export interface InferenceAnswer extends Pushed {
  inputBuffer: ArrayBuffer
  /** With the first answer. */
  started?: Started
}

const { device, spec, weights, chunk, wanted, keptWeights, streamBytes, stages } = workerData as InferenceSetup
const options = { chunk, streamBytes, outputs: [wanted], appended: appendedTokens(spec) }
const began = performance.now()
const secondsSince = (from: number) => (performance.now() - from) / 1000
let first = true
serve(
  parentPort!,
  async () => {
    const backend = await devices[device].open({ keptWeights })
    const deviceSeconds = secondsSince(began)
    const tensors = uploadWeights(backend, weights)
    const whole = new Session(new Network(backend, spec, tensors), options)
    const staged = stages.map((range) => new Session(new Network(backend, spec, tensors, range), options))
    const times = { device: deviceSeconds, weights: secondsSince(began) - deviceSeconds }
    return { whole, staged, times, backend }
  },
  async ({ whole, staged, times, backend }, { stage, ...job }: InferenceJob) => {
    const from = performance.now()
    const pushed = await (stage === undefined ? whole : staged[stage]).push(job)
    const inputBuffer = job.input.buffer as ArrayBuffer
    const result: InferenceAnswer = { ...pushed, inputBuffer }
    if (first) result.started = { ...times, chunk: secondsSince(from), use: backend.use?.() }
    first = false
    const buffers = [...pushed.reads.map(({ data }) => data), ...(pushed.stream ? [pushed.stream.input] : [])]
    return { result, transfer: [...buffers.map(({ buffer }) => buffer as ArrayBuffer), inputBuffer] }
  },
)
