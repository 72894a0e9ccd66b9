import * as v from 'valibot'
import type { MoeSpec, StemSpec } from '../spec.js'
import { type Contradiction, consistent, list, oneOf, positive, record, whole } from '../text/schema.js'

/** Schemas of what models are made of besides their mixers (mixers/). */

/** Any size of a layer; published ones stay below a half of that. */
export const width = whole(1, 65_536)

/** How many blocks a model has at most. */
export const mostBlocks = 1000

/** What a norm adds to a variance. */
export const epsilon = positive(1)

export const normSchema = record({ kind: oneOf('rms', 'layer'), eps: epsilon })

export const mlpSchema = record({ d_hidden: width })

export const moeSchema = v.pipe(
  record({
    experts: whole(1, 4096),
    active: whole(1, 4096),
    d_hidden: width,
    over: oneOf('active', 'all'),
    d_shared: v.optional(width),
  }),
  consistent(function* ({ experts, active }: MoeSpec): Generator<Contradiction> {
    if (active > experts) yield ['active', `at most ${experts}, the experts`]
  }),
)

/** A number that something is multiplied by. */
export const multiplier = positive(1e6)

const convolution = v.pipe(
  record({ window: width, stride: width, d_out: width, activation: v.optional(oneOf('none')) }),
  consistent(function* ({ window, stride }: StemSpec): Generator<Contradiction> {
    if (window < stride) yield ['window', `at least ${stride}, its stride`]
  }),
)

/** Token rows that become one row. */
export const rowsToOne = (stem: readonly StemSpec[]) => stem.reduce((product, { stride }) => product * stride, 1)

const mostRowsToOne = 1024

export const stemSchema = v.pipe(
  list(convolution, { most: 16 }),
  v.check((stem) => rowsToOne(stem) <= mostRowsToOne, `strides whose product is at most ${mostRowsToOne}`),
)
