import type { Backend, Tensor } from '../backends/backend.js'

/** A backend with what bounds a scan there, each alone: the way to memory and back, and exponentials. */
export interface MeasuredDevice {
  backend: Backend
  /** Bytes that a tensor may have. */
  tensorBytes: number
  /** Another tensor of the same numbers. */
  copy(x: Tensor): Tensor
  /** About `wanted` exponentials, and how many those are. */
  exponentials(wanted: number): { count: number; run(): Tensor }
}
