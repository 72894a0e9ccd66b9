import type { GpuFacts } from '../backends/backend.js'
import type { Device, Precision } from '../backends/registry.js'
import { tokensPerRow } from '../engine/footprint.js'
import { readsWhole } from '../engine/memory.js'
import type { Output } from '../engine/outputs.js'
import { chunkBytes, type Plan, planOf, weightBytes } from '../engine/plan.js'
import type { Weights } from '../layers/params.js'
import type { ModelSpec } from '../spec.js'
import { sizeText } from '../text/size.js'
import { answersBytes } from './resume/answers.js'
import type { ResumeFolder } from './resume/folder.js'
import type { Started } from './worker.js'

/** Where and how a run computes, and who is told of it. */
export interface ComputeOptions {
  device: Device
  /** Of a device that is a GPU. */
  gpu?: GpuFacts
  precision?: Precision
  threads: number
  /** Tokens (frames) per chunk; rounded up to a multiple of the network's stride. */
  chunk?: number
  /** Bytes that the process may take; default: half of what the machine allows. */
  maxMemory?: number
  /** Of temporary files; default: that of the system. */
  tmpDir?: string
  /** The residual stream of a long sequence is kept as float16. */
  halfSpool?: boolean
  /** Bytes of memory that the run takes besides what its plan knows of. */
  besides?: number
  /** Where what is computed is kept until the output is there, and what an earlier run has kept; absent: nowhere. */
  resume?: ResumeFolder
  /** Takes warnings. */
  note: (line: string) => void
  /** Takes what only --verbose says. */
  detail?: (line: string) => void
}

/**
 * The plan of a run, with a warning where it is not as asked for. `uncut`: tokens of sequences that should not be cut; `longest`: of the
 * longest, as far as that is known.
 */
export function planFor(
  { spec, weights }: { spec: ModelSpec; weights: Weights },
  options: ComputeOptions,
  { wanted, uncut, longest }: { wanted?: Output; uncut?: number; longest?: number } = {},
): Plan {
  const { device, gpu, besides = 0, resume, note, detail } = options
  const chunk = options.chunk ?? resume?.chunk
  const plan = planOf(spec, {
    ...options,
    chunk,
    besides: besides + (resume ? answersBytes : 0),
    weights,
    wanted,
    uncut,
    longest,
  })
  if (resume) resume.chunk = plan.chunk
  if (gpu && chunk !== undefined && plan.chunk < chunk) {
    const limit = `a tensor on this GPU takes ${sizeText(gpu.tensorBytes)} at the most`
    note(`--chunk ${chunk}: ${count(plan.chunk)} tokens are computed at a time, as ${limit}`)
  }
  const spools = readsWhole(spec) && !options.halfSpool ? plan.deviceSpoolBytes : 0
  detail?.(
    [
      `device ${deviceText(device, gpu, plan)}`,
      `${count(plan.workers)} worker${plan.workers === 1 ? '' : 's'}`,
      `chunks of ${chunkText(spec, plan)}`,
      `${sizeText(weightBytes(weights))} of weights`,
      `about ${sizeText(chunkBytes(spec, plan, wanted))} of buffers`,
      ...(spools > 0 ? [`spools of up to ${sizeText(spools)} on the GPU`] : []),
      `memory: ${sizeText(plan.memory.run)} of ${sizeText(plan.memory.allowed)}, the rest for sequences that are held whole`,
    ].join('; '),
  )
  return plan
}

export function deviceText(device: Device, gpu: GpuFacts | undefined, { matrices }: Plan): string {
  if (!gpu) return device
  const products = matrices ? `, matrices of ${matrices === 'f16' ? 'float16' : 'float32'}` : ''
  return `${device}: ${gpu.name}, tensors of up to ${sizeText(gpu.tensorBytes)}${products}`
}

export const chunkText = (spec: ModelSpec, { chunk, depth }: Plan) =>
  `${count(chunk)} tokens (${count(chunk / tokensPerRow(spec))} rows), ${depth} under way`

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
  const held = use ? `; ${sizeText(use.bytes)} on the device` : ''
  return `started in ${seconds(device + weights + chunk)}: ${parts.join(', ')}${held}`
}

const seconds = (s: number) => `${s.toFixed(2)} s`
export const count = (n: number) => n.toLocaleString('en')
