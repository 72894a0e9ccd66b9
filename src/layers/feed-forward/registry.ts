import type { BlockSpec } from '../../spec.js'
import type { FeedForward } from './feed-forward.js'
import { gatedMlp } from './gated-mlp.js'
import { moe } from './moe.js'

/** Every kind by its name in a block, of which its weights have the same, in the order in which a block adds them. */
const kinds = { mlp: gatedMlp, moe } satisfies Partial<Record<keyof BlockSpec, unknown>>

/** The feed-forward parts of a block. */
export function feedForwardsOf(block: BlockSpec): { name: string; kind: FeedForward<unknown>; spec: unknown }[] {
  return (Object.keys(kinds) as (keyof typeof kinds)[]).flatMap((name) => {
    const spec = block[name]
    return spec === undefined ? [] : [{ name, kind: kinds[name], spec }]
  })
}
