import { isDeepStrictEqual } from 'node:util'
import type { BidirectionalSpec } from '../layers/mixers/bidirectional.js'
import type { MambaSpec } from '../layers/mixers/mamba.js'
import type { BlockSpec, HeadSpec, ModelSpec, Pool } from '../spec.js'
import type { Architecture } from './settings.js'

/** What lies between input and head of a fresh model. */
export function body(
  settings: Architecture,
): Pick<ModelSpec, 'stem' | 'd_model' | 'norm' | 'blocks' | 'hidden_states'> {
  const { layers, d_model, d_state, d_conv, expand, bidirectional, tied, mixer, mlp, norm, stem } = settings
  const mamba: MambaSpec = {
    kind: 'mamba',
    d_inner: expand * d_model,
    d_state,
    dt_rank: Math.ceil(d_model / 16),
    d_conv,
  }
  const both: BidirectionalSpec = { kind: 'bidirectional', mamba, combine: 'add', tied }
  const block: BlockSpec = {
    mixer: mixer ?? (bidirectional ? both : mamba),
    ...(mlp > 0 ? { mlp: { d_hidden: mlp } } : {}),
  }
  return {
    stem,
    d_model,
    norm: { kind: norm, eps: 1e-5 },
    blocks: Array.from({ length: layers }, () => structuredClone(block)),
    hidden_states: { embedding: true, blocks: 'residual', listed: layers, final: true },
  }
}

/** A head of classes. Where the `old` one has these labels and this pooling, it pools the same rows. */
export function classHead(labels: string[], pool: Pool, length: number, old: HeadSpec | null = null): HeadSpec {
  const fresh: HeadSpec = { kind: 'classes', labels, pool, ...(pool === 'flatten' ? { length } : {}) }
  if (old?.kind !== 'classes') return fresh
  const { temperature: _, appended, ...answers } = old
  return isDeepStrictEqual(answers, fresh) && appended ? { ...fresh, appended } : fresh
}

/** Columns of head.weight: D, or L' D where all L' rows of a record are read out. */
export function headWidth(spec: ModelSpec): number {
  const { head, stem, d_model } = spec
  if (head?.kind !== 'classes' || head.pool !== 'flatten') return d_model
  return stem.reduce((rows, { stride }) => Math.ceil(rows / stride), head.length!) * d_model
}
