import type { Backend, ScanArgs, Tensor } from '../backends/backend.js'
import type { Direction, Segments } from '../backends/segments.js'
import { Random } from '../runtime/random.js'

/** Makes tensors of random numbers within `scale`, 0.1 if it is absent. */
export type Make = (rows: number, cols: number, scale?: number) => Tensor

/** Of many rows the first ones come again and again. */
export function maker(backend: Backend): Make {
  const random = new Random(1)
  return (rows, cols, scale = 0.1) => {
    const first = Math.min(rows, 256)
    const numbers = Float32Array.from({ length: first * cols }, () => random.uniform(-scale, scale))
    const x = backend.upload(numbers, first, cols)
    if (first === rows) return x
    const all = backend.gatherRows(
      x,
      Int32Array.from({ length: rows }, (_, i) => i % first),
    )
    backend.release(x)
    return all
  }
}

/** A scan with everything that a Mamba block has; B and C are columns of one tensor, as x_proj leaves them. */
export function scanArgs(
  backend: Backend,
  make: Make,
  shape: { T: number; E: number; N: number },
  direction: Direction,
  segments: Segments,
): ScanArgs {
  const { T, E, N } = shape
  const [u, dt, z, both] = [make(T, E), make(T, E), make(T, E), make(T, 2 * N)]
  const [A_log, D, dtBias] = [make(E, N), make(1, E), make(1, E)]
  const [B, C] = [backend.columns(both, 0, N), backend.columns(both, N, 2 * N)]
  return { u, dt, A_log, B, C, D, z, dtBias, softplus: true, segments, direction }
}
