import type { Backend, Tensor } from '../backends/backend.js'
import type { Segments } from '../backends/segments.js'
import type { StemSpec } from '../spec.js'
import type { Params } from './params.js'

/** Strided convolution over token rows: x [T, D_in] -> [T', d_out], T' = sum of ceil(rows / stride) over the segments. */
export async function stem(
  b: Backend,
  spec: StemSpec,
  params: Params,
  x: Tensor,
  segments: Segments,
  state: Tensor | null,
): Promise<{ x: Tensor; segments: Segments }> {
  const windows = b.unfold(x, spec.window, spec.stride, segments, state)
  const out = await b.linear(windows, params.get('weight'), {
    bias: params.get('bias'),
    activation: spec.activation ?? 'silu',
  })
  b.release(windows)
  return { x: out, segments: stride(segments, spec.stride) }
}

/** Segments after a strided convolution. */
export function stride(segments: Segments, by: number): Segments {
  const { offsets } = segments
  const strided = new Int32Array(offsets.length)
  for (let s = 1; s < offsets.length; s++) strided[s] = strided[s - 1] + Math.ceil((offsets[s] - offsets[s - 1]) / by)
  // A cut falls on a multiple of the stride.
  return { ...segments, offsets: strided, start: segments.start.map((rows) => rows / by) }
}
