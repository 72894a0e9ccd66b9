import { parentPort, workerData } from 'node:worker_threads'
import { type Device, openBackend } from '../backends/open.js'
import type { Chunk } from '../engine/chunk.js'
import { Network } from '../engine/network.js'
import { serve } from '../engine/workers.js'
import { uploadWeights } from '../layers/params.js'
import type { ModelSpec, Weights } from '../spec.js'
import { Inference, type InferenceResult, type Wanted } from './inference.js'

/** What a worker thread of inference is started with; `weights` lie in shared memory. */
export interface InferenceSetup {
  device: Device
  spec: ModelSpec
  weights: Weights
  chunk: number
  wanted: Wanted
}

/** The buffer of the job's input goes back to where it came from. */
export interface InferenceAnswer extends InferenceResult {
  inputBuffer: ArrayBuffer
}

const { device, spec, weights, chunk, wanted } = workerData as InferenceSetup
serve(
  parentPort!,
  async () => {
    const backend = await openBackend(device)
    return new Inference(new Network(backend, spec, uploadWeights(backend, weights)), chunk, wanted)
  },
  async (inference, job: Chunk) => {
    const read = await inference.run(job)
    const inputBuffer = job.input.buffer as ArrayBuffer
    const result: InferenceAnswer = { ...read, inputBuffer }
    return { result, transfer: [read.data.buffer as ArrayBuffer, inputBuffer] }
  },
)
