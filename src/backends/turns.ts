import type { FloatArray, TurnsArgs } from './backend.js'
import { softplusSlope } from './reference/activation.js'

export interface TurnsShape {
  T: number
  /** Heads, and pairs that each of them turns. */
  H: number
  S: number
  /** Groups of heads that share angles. */
  A: number
}

/** Errors: RangeError where groups do not divide what they are parts of. */
export function turnsShape({ angles, dt, pairs: S }: TurnsArgs): TurnsShape {
  const { rows: T, cols: H } = dt
  const A = angles.cols / S
  if (!Number.isInteger(A) || !Number.isInteger(H / A))
    throw new RangeError(`${angles.cols} angles for ${H} heads of ${S} pairs`)
  return { T, H, S, A }
}

/** Rows of a tensor on the host. */
type RowOf = (t: number) => FloatArray

export interface TurnsRows {
  angles: RowOf
  /** [H 2 S], the result, and its gradient. */
  y: RowOf
  dy: RowOf
  /** [H], with the bias. */
  dt: RowOf
  /** The same after the softplus. */
  steps: RowOf
}

/** Adds to the gradients [T, A S], [T, H] and [1, H] of a segment, from its last row on. */
export function addTurnsGradient(
  { from, rows }: { from: number; rows: number },
  { H, S, A }: TurnsShape,
  rowOf: TurnsRows,
  into: { angles: Float64Array; dt: Float64Array; dtBias: Float64Array },
): void {
  const sums = new Float64Array(H * S)
  for (let t = from + rows - 1; t >= from; t--) {
    const [angles, y, dy, dt, steps] = [rowOf.angles(t), rowOf.y(t), rowOf.dy(t), rowOf.dt(t), rowOf.steps(t)]
    for (let h = 0; h < H; h++) {
      const group = Math.floor((h * A) / H) * S
      let ofStep = 0
      for (let i = 0; i < S; i++) {
        const [cos, sin] = [2 * h * S + i, (2 * h + 1) * S + i]
        sums[h * S + i] += dy[sin] * y[cos] - dy[cos] * y[sin]
        const sum = sums[h * S + i] * Math.PI
        const part = Math.tanh(angles[group + i])
        into.angles[t * A * S + group + i] += sum * steps[h] * (1 - part * part)
        ofStep += sum * part
      }
      const raw = ofStep * softplusSlope(dt[h])
      into.dt[t * H + h] += raw
      into.dtBias[h] += raw
    }
  }
}
