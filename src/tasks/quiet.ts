import { concatenate } from './concatenate.js'
import type { Part, StretchPiece } from './sequences.js'

export interface QuietOptions {
  /** Features of a frame: the louder, the larger. */
  width: number
  /** Frames of a window at most. */
  longest: number
  /** A cut is at a multiple of this many frames. */
  multiple: number
  /** Frames over which loudness is taken. */
  span: number
}

/**
 * Cuts recordings that are too long to be read at once into windows, each in the quietest place of the last third that a window
 * may have: between words, where there is a pause. Which place that is depends on no more than `longest` frames, so the windows are the same however the parts came.
 */
export async function* quietWindows(
  parts: AsyncIterable<Part<Float32Array>>,
  options: QuietOptions,
): AsyncGenerator<StretchPiece<Float32Array>> {
  const { width, longest } = options
  let held: Float32Array[] = []
  let count = 0 // frames held
  let start = 0 // of the next window
  for await (const { record, offset, rows, last } of parts) {
    if (offset === 0) {
      held = []
      count = 0
      start = 0
    }
    held.push(rows)
    count += rows.length / width
    if (count <= longest && !last) continue
    let all = concatenate(held)
    const window = (frames: number): StretchPiece<Float32Array> => {
      const stretch = { record, start, end: start + frames }
      start += frames
      const rows = all.slice(0, frames * width)
      all = all.subarray(frames * width)
      return { stretch, rows, continues: false, goesOn: false }
    }
    while (all.length > longest * width) yield window(quietest(all, options))
    if (last) yield window(all.length / width)
    held = [all.slice()]
    count = all.length / width
  }
}

/** The frame in the last third of the longest window around which it is quietest; the last of several. */
function quietest(features: Float32Array, { width, longest, multiple, span }: QuietOptions): number {
  const loudness = (frame: number) => {
    let sum = 0
    for (let i = frame * width; i < (frame + 1) * width; i++) sum += features[i]
    return sum
  }
  const half = span >> 1
  let best = -1
  let least = Number.POSITIVE_INFINITY
  const first = Math.ceil((2 * longest) / 3 / multiple) * multiple
  for (let frame = first; frame + half <= longest; frame += multiple) {
    let around = 0
    for (let i = frame - half; i < frame + half; i++) around += loudness(i)
    if (around > least) continue
    least = around
    best = frame
  }
  return best
}
