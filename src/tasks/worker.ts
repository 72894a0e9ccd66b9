import { parentPort, workerData } from 'node:worker_threads'
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
  /** What each worker runs of sequences that are cut into chunks. */
  stages: readonly BlockRange[]
}

/** Whole sequences, through all blocks; or cut ones, through those of a stage. */
export interface InferenceJob extends Chunk {
  stage?: number
}

/** The buffer of the job's input goes back to where it came from. */
export interface InferenceAnswer extends Pushed {
  inputBuffer: ArrayBuffer
}

const { device, spec, weights, chunk, wanted, keptWeights, stages } = workerData as InferenceSetup
const options = { chunk, outputs: [wanted], appended: appendedTokens(spec) }
serve(
  parentPort!,
  async () => {
    const backend = await devices[device].open({ keptWeights })
    const tensors = uploadWeights(backend, weights)
    const whole = new Session(new Network(backend, spec, tensors), options)
    const staged = stages.map((range) => new Session(new Network(backend, spec, tensors, range), options))
    return { whole, staged }
  },
  async ({ whole, staged }, { stage, ...job }: InferenceJob) => {
    const pushed = await (stage === undefined ? whole : staged[stage]).push(job)
    const inputBuffer = job.input.buffer as ArrayBuffer
    const result: InferenceAnswer = { ...pushed, inputBuffer }
    const buffers = [...pushed.reads.map(({ data }) => data), ...(pushed.stream ? [pushed.stream.input] : [])]
    return { result, transfer: [...buffers.map(({ buffer }) => buffer as ArrayBuffer), inputBuffer] }
  },
)
