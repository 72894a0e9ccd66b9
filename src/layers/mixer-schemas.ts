import * as v from 'valibot'
import { flag, kind, oneOf, record } from '../text/schema.js'
import { epsilon, width } from './layer-schemas.js'

export const mambaSchema = record({
  kind: kind('mamba'),
  d_inner: width,
  d_state: width,
  dt_rank: width,
  d_conv: width,
  bcdt_norm_eps: v.optional(epsilon),
})

export const bidirectionalSchema = record({
  kind: kind('bidirectional'),
  mamba: mambaSchema,
  combine: oneOf('add', 'multiply'),
  tied: flag,
})

/** Of every kind of mixer; a spec's `kind` tells which. */
export const mixerSchemas = [mambaSchema, bidirectionalSchema] as const
