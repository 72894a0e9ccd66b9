import type { BlockSpec, HeadSpec, LogMelSpec, MambaSpec, ModelSpec, Pool } from '../spec.js'
import type { DnaSettings } from './dna/settings.js'
import type { Architecture } from './settings.js'

/** The spec of a fresh classifier of DNA. `length` (bases): what the read-out `positions` is made for. */
export function classifierSpec(settings: DnaSettings, labels: string[], length: number): ModelSpec {
  const { d_model, stem, pool, strand } = settings
  return {
    tokenizer: 'dna',
    vocab_size: 5,
    d_embed: stem.length > 0 ? settings.d_embed : d_model,
    ...body(settings),
    head: classHead(labels, pool, length),
    strand,
    trained_length: length,
  }
}

/** The spec of a fresh model that hears. */
export function audioSpec(settings: Architecture, log_mel: LogMelSpec, head: HeadSpec): ModelSpec {
  return {
    tokenizer: 'log-mel',
    log_mel,
    vocab_size: 0,
    d_embed: log_mel.n_mels,
    ...body(settings),
    head,
    strand: 'stranded',
  }
}

function body(settings: Architecture): Pick<ModelSpec, 'stem' | 'd_model' | 'norm' | 'blocks' | 'hidden_states'> {
  const { layers, d_model, d_state, d_conv, expand, bidirectional, tied, mlp, norm, stem } = settings
  const mamba: MambaSpec = {
    kind: 'mamba',
    d_inner: expand * d_model,
    d_state,
    dt_rank: Math.ceil(d_model / 16),
    d_conv,
  }
  const block: BlockSpec = {
    mixer: bidirectional ? { kind: 'bidirectional', mamba, combine: 'add', tied } : mamba,
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

/** The body of a DNA model with a new classification head. */
export function withClassHead(
  spec: ModelSpec,
  labels: string[],
  length: number,
  { pool, strand }: Pick<DnaSettings, 'pool' | 'strand'>,
): ModelSpec {
  const { reverse_complement: _, ...body } = spec
  return { ...body, head: classHead(labels, pool, length), strand, trained_length: length }
}

function classHead(labels: string[], pool: Pool, length: number): HeadSpec {
  return { kind: 'classes', labels, pool, ...(pool === 'positions' ? { length } : {}) }
}

/** Columns of head.weight: D, or L' D where all L' rows of a record are read out. */
export function headWidth(spec: ModelSpec): number {
  const { head, stem, d_model } = spec
  if (head?.kind !== 'classes' || head.pool !== 'positions') return d_model
  return stem.reduce((rows, { stride }) => Math.ceil(rows / stride), head.length!) * d_model
}
