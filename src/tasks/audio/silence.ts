import type { BufferPool } from '../../runtime/buffer-pool.js'
import type { Part, SpanPiece } from '../windows.js'

export interface SilenceOptions {
  /** Features of a frame: the louder, the larger. */
  width: number
  /** Frames of a window at most. */
  longest: number
  /** A cut is at a multiple of this many frames. */
  multiple: number
  /** Frames over which energy is summed: a pause between words. */
  pause: number
}

/**
 * Cuts recordings that are too long to be read at once into windows, each cut where the energy is least in the last
 * third that a window may have: in a pause between words, where there is one. Which place that is depends on `longest`
 * frames alone, so the windows are the same however the parts came.
 */
export async function* splitAtSilence(
  parts: AsyncIterable<Part<Float32Array>>,
  options: SilenceOptions,
  buffers: BufferPool,
): AsyncGenerator<SpanPiece<Float32Array>> {
  const { width, longest } = options
  const held = new Float32Array(longest * width)
  let used = 0
  let start = 0 // of the next window
  for await (const { record, offset, rows, last } of parts) {
    if (offset === 0) {
      used = 0
      start = 0
    }
    const window = (frames: number): SpanPiece<Float32Array> => {
      const span = { record, start, end: start + frames }
      // As large as any window, so that each fits all.
      const rows = buffers.floats(held.length).subarray(0, frames * width)
      rows.set(held.subarray(0, rows.length))
      held.copyWithin(0, rows.length, used)
      used -= rows.length
      start += frames
      return { span, rows, start: 0, ends: true }
    }
    for (let taken = 0; taken < rows.length; ) {
      if (used === held.length) yield window(leastEnergyFrame(held, options))
      const some = rows.subarray(taken, taken + held.length - used)
      held.set(some, used)
      used += some.length
      taken += some.length
    }
    if (last) yield window(used / width)
  }
}

/** The frame in the last third of the longest window with the least energy around it; the last of several. */
function leastEnergyFrame(features: Float32Array, { width, longest, multiple, pause }: SilenceOptions): number {
  const half = pause >> 1
  let best = 0
  let least = Number.POSITIVE_INFINITY
  const first = Math.ceil((2 * longest) / 3 / multiple) * multiple
  for (let frame = first; frame + half <= longest; frame += multiple) {
    let around = 0
    for (let i = (frame - half) * width; i < (frame + half) * width; i++) around += features[i]
    if (around > least) continue
    least = around
    best = frame
  }
  return best
}
