import { exitCodes, UserError } from '../errors.js'
import { type Backend, type FactorType, factorTypes, type GpuFacts, type Probe } from './backend.js'

export interface DeviceOptions {
  /** Bytes of weights that a backend keeps as it computes with them; default: all. */
  keptWeights?: number
  /** What a GPU makes matrix products by, where it has it; default: its threads, in float32. */
  matrices?: FactorType
}

/** f32: what a device computes in. f16: the factors of matrix products are rounded to float16, which is faster on a GPU that has matrices of them. */
export const precisions = factorTypes
export type Precision = FactorType

/** A device that models run on. Its code and libraries are loaded when it is opened or probed, not before. */
interface DeviceEntry {
  open(options?: DeviceOptions): Promise<Backend>
  /** Of matrices of a GPU these types are tried; default: all. */
  probe(matrices?: readonly FactorType[]): Promise<Probe>
  /** How many backends a run opens: one for each thread, or one for all its work. */
  lanes: 'per thread' | 1
  /** It has gradients. */
  trains: boolean
}

/** Every device, that of commands that name none first. */
const entries = {
  cpu: {
    open: async (options) => (await import('./cpu/cpu.js')).openCpuBackend(options),
    probe: async () => (await import('./cpu/probe.js')).probeCpu(),
    lanes: 'per thread',
    trains: true,
  },
  webgpu: {
    open: async (options) => (await import('./webgpu/webgpu.js')).openWebgpuBackend(options),
    probe: async (matrices) => (await import('./webgpu/probe.js')).probeWebgpu(matrices),
    lanes: 1,
    trains: true,
  },
  tfjs: {
    open: async () => (await import('./tfjs/tfjs.js')).openTfjsBackend(),
    probe: async () => (await import('./tfjs/load.js')).probeTfjs(),
    lanes: 1,
    trains: false,
  },
  reference: {
    open: async () => (await import('./reference/index.js')).openReferenceBackend(),
    probe: async () => ({
      works: true,
      detail: 'float64 TypeScript, exact and very slow: only when asked for (-d reference)',
    }),
    lanes: 'per thread',
    trains: true,
  },
} as const satisfies Record<string, DeviceEntry>

export type Device = keyof typeof entries
export const devices: Readonly<Record<Device, DeviceEntry>> = entries
export const deviceNames = Object.keys(entries) as Device[]

/** What runs where nothing else is asked for: the one device whose results have the same bytes on every machine of a kind. */
export const defaultDevice = 'cpu' satisfies Device

/** A device to compute on. */
export interface Picked {
  device: Device
  /** Of `auto`: why this one. */
  why?: string
  /** Of a device that is a GPU of its own, which plans have to know. */
  gpu?: GpuFacts
}

interface Wanted {
  training?: boolean
  precision?: Precision
}

/**
 * The device that a user asked for. `auto`: a GPU where there is a real one, otherwise the default. Errors: UserError with exit code 69
 * for a GPU that was asked for and cannot be had, and for a device that cannot do what it is wanted for.
 */
export async function pickDevice(
  wanted: 'auto' | Device,
  { training = false, precision = 'f32' }: Wanted = {},
): Promise<Picked> {
  if (training && wanted !== 'auto' && !devices[wanted].trains)
    throw new UserError(`the device ${wanted} cannot train: it has no gradients`, exitCodes.unavailable)
  const probe = wanted === 'auto' || wanted === 'webgpu' ? await devices.webgpu.probe([precision]) : undefined
  if (wanted === 'webgpu' && !probe?.gpu) throw new UserError(probe!.detail, exitCodes.unavailable)
  const picked = wanted === 'auto' ? pickBy(probe!) : { device: wanted, gpu: probe?.gpu }
  if (precision === 'f16' && !picked.gpu?.matrices.includes('f16')) {
    const { device, gpu } = picked
    const lacks = gpu ? `${gpu.name} has no matrices of float16` : `the device ${device} has no float16`
    throw new UserError(`--precision f16: ${lacks}; leave it out to compute in float32`, exitCodes.unavailable)
  }
  return picked
}

/** What `auto` takes, by what the probe of the device webgpu found. */
export function pickBy({ gpu, detail }: Probe): Picked {
  if (!gpu) return { device: defaultDevice, why: detail }
  if (gpu.software) return { device: defaultDevice, why: `the only GPU is one that a processor plays: ${gpu.name}` }
  return { device: 'webgpu', why: gpu.name, gpu }
}
