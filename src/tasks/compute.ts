import type { GpuFacts } from '../backends/backend.js'
import type { Device } from '../backends/registry.js'
import { tokensPerRow } from '../engine/footprint.js'
import { chunkBytes, type Plan, planOf, weightBytes } from '../engine/plan.js'
import type { Weights } from '../layers/params.js'
import type { ModelSpec } from '../spec.js'
import type { Started } from './worker.js'

/** Where and how a run computes, and who is told of it. */
export interface ComputeOptions {
  device: Device
  /** Of a device that is a GPU. */
  gpu?: GpuFacts
  threads: number
  /** Tokens (frames) per chunk; rounded up to a multiple of the network's stride. */
  chunk?: number
  /** Takes warnings. */
  note: (line: string) => void
  /** Takes what only --verbose says. */
  detail?: (line: string) => void
}

/** The plan of a run, with a warning where it is not as asked for. `uncut`: tokens of sequences that should not be cut. */
export function planFor(
  { spec, weights }: { spec: ModelSpec; weights: Weights },
  options: ComputeOptions,
  uncut?: number,
): Plan {
  const plan = planOf(spec, { ...options, uncut })
  const { device, gpu, chunk = 0, note, detail } = options
  if (gpu && plan.chunk < chunk) {
    const limit = `a tensor on this GPU takes ${mebibytes(gpu.tensorBytes)} at the most`
    note(`--chunk ${chunk}: ${count(plan.chunk)} tokens are computed at a time, as ${limit}`)
  }
  detail?.(
    [
      `device ${device}${gpu ? `: ${gpu.name}, tensors of up to ${mebibytes(gpu.tensorBytes)}` : ''}`,
      `${count(plan.workers)} worker${plan.workers === 1 ? '' : 's'}`,
      `chunks of ${count(plan.chunk)} tokens (${count(plan.chunk / tokensPerRow(spec))} rows), ${plan.depth} under way`,
      `${mebibytes(weightBytes(weights, gpu))} of weights`,
      `about ${mebibytes(chunkBytes(spec, plan))} of buffers`,
    ].join('; '),
  )
  return plan
}

/** Tells of the start of the first worker that has computed something. */
export function startNote({ detail }: ComputeOptions): (started: Started) => void {
  let first = true
  return (started) => {
    if (first) detail?.(startText(started))
    first = false
  }
}

function startText({ device, weights, chunk, use }: Started): string {
  const parts = [`device ${seconds(device)}`, `weights ${seconds(weights)}`, `first chunk ${seconds(chunk)}`]
  if (use) parts[2] += `, of which ${use.pipelines} pipelines ${seconds(use.seconds)}`
  const held = use ? `; ${mebibytes(use.bytes)} on the device` : ''
  return `started in ${seconds(device + weights + chunk)}: ${parts.join(', ')}${held}`
}

const seconds = (s: number) => `${s.toFixed(2)} s`
const count = (n: number) => n.toLocaleString('en')

function mebibytes(bytes: number): string {
  if (bytes < 2 ** 20) return `${Math.ceil(bytes / 2 ** 10)} KiB`
  const size = bytes / 2 ** 20
  return `${size < 10 ? size.toFixed(1) : count(Math.floor(size))} MiB`
}
