import { parentPort, workerData } from 'node:worker_threads'
import { type Device, devices } from '../backends/registry.js'
import { serve } from '../engine/workers.js'
import { type Job, Replica, type ReplicaSetup } from './replica.js'

/** A worker thread of training: one replica, which does one job after the other. */
const { device, ...setup } = workerData as ReplicaSetup & { device: Device }
serve(
  parentPort!,
  async () => new Replica(await devices[device].open(), setup),
  async (replica, job: Job) => ({ result: await replica.do(job) }),
)
