import { parentPort, workerData } from 'node:worker_threads'
import { type Device, openBackend } from '../backends/open.js'
import { Network } from '../engine/network.js'
import { uploadWeights } from '../layers/params.js'
import type { ModelSpec, Weights } from '../spec.js'
import { Inference, type InferenceJob, type Wanted } from './inference.js'

/** What a worker thread of inference is started with; `weights` lie in shared memory. */
export interface InferenceSetup {
  device: Device
  spec: ModelSpec
  weights: Weights
  chunk: number
  wanted: Wanted
}

const { device, spec, weights, chunk, wanted } = workerData as InferenceSetup
const port = parentPort!
// Jobs are done one after the other; the first waits for the backend.
let before: Promise<Inference> = openBackend(device).then(
  (backend) => new Inference(new Network(backend, spec, uploadWeights(backend, weights)), chunk, wanted),
)
port.on('message', (job: InferenceJob) => {
  before = before.then(async (inference) => {
    try {
      const result = await inference.run(job)
      port.postMessage({ result }, [result.data.buffer as ArrayBuffer])
    } catch (error) {
      port.postMessage({ error })
    }
    return inference
  })
  before.catch((error) => port.postMessage({ error }))
})
