import type { Backend, Probe } from './backend.js'

export interface DeviceOptions {
  /** Bytes of weights that a backend keeps as it computes with them; default: all. */
  keptWeights?: number
}

/** A device that models run on. Its code and libraries are loaded when it is opened or probed, not before. */
interface DeviceEntry {
  open(options?: DeviceOptions): Promise<Backend>
  probe(): Promise<Probe>
  /** How many backends a run opens: one for each thread, or one for all its work. */
  lanes: 'per thread' | 1
  /** What it computes in. */
  precisions: readonly ('f32' | 'f64')[]
  /** `auto` may pick it. */
  automatic: boolean
}

/** Every device, the best for `auto` first. */
const entries = {
  cpu: {
    open: async (options) => (await import('./cpu/cpu.js')).openCpuBackend(options),
    probe: async () => (await import('./cpu/probe.js')).probeCpu(),
    lanes: 'per thread',
    precisions: ['f32'],
    automatic: true,
  },
  webgpu: {
    open: async () => (await import('./webgpu/webgpu.js')).openWebgpuBackend(),
    probe: async () => (await import('./webgpu/probe.js')).probeWebgpu(),
    lanes: 1,
    precisions: ['f32'],
    automatic: false,
  },
  tfjs: {
    open: async () => (await import('./tfjs/tfjs.js')).openTfjsBackend(),
    probe: async () => (await import('./tfjs/load.js')).probeTfjs(),
    lanes: 1,
    precisions: ['f32'],
    automatic: false,
  },
  reference: {
    open: async () => (await import('./reference/index.js')).openReferenceBackend(),
    probe: async () => ({
      works: true,
      detail: 'float64 TypeScript, exact and very slow: only when asked for (-d reference)',
    }),
    lanes: 'per thread',
    precisions: ['f64'],
    automatic: false,
  },
} as const satisfies Record<string, DeviceEntry>

export type Device = keyof typeof entries
export const devices: Readonly<Record<Device, DeviceEntry>> = entries
export const deviceNames = Object.keys(entries) as Device[]

/** The device that a user asked for; `auto`: the first that may be picked. */
export function pickDevice(wanted: 'auto' | Device): Device {
  if (wanted !== 'auto') return wanted
  return deviceNames.find((name) => devices[name].automatic)!
}
