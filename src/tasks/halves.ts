import { MessageChannel } from 'node:worker_threads'
import { pieceOf } from '../backends/segments.js'
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
      segments: pieceOf(segments, 0, middle),
      targets: targets?.slice(0, middle / stride),
      folder,
      other: { side: 'right', tokens: tokens - middle, port: port1 },
    },
    {
      input: input.slice(at),
      segments: pieceOf(segments, middle, tokens),
      targets: targets?.slice(middle / stride),
      folder,
      other: { side: 'left', tokens: middle, port: port2 },
    },
  ]
}
