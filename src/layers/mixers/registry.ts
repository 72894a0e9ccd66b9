import type { MixerSpec, ModelSpec } from '../../spec.js'
import { attention } from './attention.js'
import { bidirectional } from './bidirectional.js'
import { flowstate } from './flowstate.js'
import { gatedDelta } from './gated-delta.js'
import { mamba } from './mamba.js'
import { mamba2 } from './mamba2.js'
import { mamba3 } from './mamba3.js'
import type { Family } from './mixer.js'
import { mixtureOfMamba } from './mixture-of-mamba.js'
import { parallel } from './parallel.js'
import { retention } from './retention.js'
import { s4d } from './s4d.js'
import { s5 } from './s5.js'

const single: readonly Family[] = [
  mamba,
  mamba2,
  mamba3,
  mixtureOfMamba,
  bidirectional,
  s4d,
  s5,
  flowstate,
  attention,
  retention,
  gatedDelta,
]

/** Every kind of mixer. */
export const families: readonly Family[] = [...single, parallel(single)]

/** The family of a mixer; the schema of a spec lets no other kinds in. */
export function familyOf({ kind }: MixerSpec): Family {
  const family = families.find((each) => each.kind === kind)
  if (!family) throw new Error(`no mixer '${kind}'`)
  return family
}

/** Each row of the model depends only on rows before it: it streams, and its state can be carried. */
export const isCausal = ({ blocks }: Pick<ModelSpec, 'blocks'>): boolean =>
  blocks.every(({ mixer }) => familyOf(mixer).causal(mixer))

/** How many modalities a model tells apart: the fewest that any of its mixers does, or one where none does. */
export function modalitiesOf({ blocks }: Pick<ModelSpec, 'blocks'>): number {
  const known = Math.min(...blocks.map(({ mixer }) => familyOf(mixer).modalities?.(mixer) ?? Infinity))
  return Number.isFinite(known) ? known : 1
}
