import { MessageChannel } from 'node:worker_threads'
import { oneSegment } from '../backends/segments.js'
import { tokensPerRow } from '../engine/footprint.js'
import type { ModelSpec } from '../spec.js'
import type { ChunkJob } from './worker.js'

/** A whole sequence as the jobs of two workers, which tell each other what crosses its middle. The first keeps its buffer. */
export function halvesOf(spec: ModelSpec, { input, segments, targets, folder }: ChunkJob): ChunkJob[] {
  const tokens = segments.offsets[1]
  const stride = tokensPerRow(spec)
  const middle = Math.ceil(tokens / 2 / stride) * stride
  const at = middle * (input.length / tokens)
  const { port1, port2 } = new MessageChannel()
  return [
    {
      input: input.subarray(0, at),
      segments: oneSegment(middle, 0, false, -1),
      targets: targets?.slice(0, middle / stride),
      folder,
      other: { side: 'right', tokens: tokens - middle, port: port1 },
    },
    {
      input: input.slice(at),
      segments: oneSegment(tokens - middle, middle, true, -1),
      targets: targets?.slice(middle / stride),
      folder,
      other: { side: 'left', tokens: middle, port: port2 },
    },
  ]
}
