import { weightOf } from '../../../src/backends/weight.js'
import type { BidirectionalSpec } from '../../../src/layers/mixers/bidirectional.js'
import type { MambaSpec } from '../../../src/layers/mixers/mamba.js'
import type { Weights } from '../../../src/layers/params.js'
import type { HeadSpec, LogMelSpec, ModelSpec } from '../../../src/spec.js'
import { initialise } from '../../../src/training/initialise.js'

/** What telephones carry, so that recordings of 8 kHz and of 48 kHz look alike. */
export const telephone: LogMelSpec = {
  sample_rate: 8000,
  n_fft: 256,
  window: 200,
  hop: 80,
  n_mels: 12,
  f_min: 200,
  f_max: 3000,
  tail: 0.2,
  level: { memory: 10, lookahead: 0.5, quietest: -70, range: 60 },
}

const shared: Omit<ModelSpec, 'stem' | 'd_model' | 'norm' | 'blocks' | 'head'> = {
  input: { kind: 'log-mel', ...telephone },
  d_embed: telephone.n_mels,
  strand: 'stranded',
  hidden_states: { embedding: true, blocks: 'residual', listed: 0, final: true },
}

/** A small model of audio with random weights; it writes nonsense, or calls sounds nonsense. */
export function randomAudioModel(head: HeadSpec, bidirectional: boolean): { spec: ModelSpec; weights: Weights } {
  const mamba: MambaSpec = { kind: 'mamba', d_inner: 24, d_state: 4, dt_rank: 2, d_conv: 4 }
  const both: BidirectionalSpec = { kind: 'bidirectional', mamba, combine: 'add', tied: true }
  const mixer = bidirectional ? both : mamba
  const spec: ModelSpec = {
    ...shared,
    stem: [{ window: 6, stride: 4, d_out: 16 }],
    d_model: 16,
    norm: { kind: 'rms', eps: 1e-5 },
    blocks: [{ mixer }, { mixer }],
    head,
    hidden_states: { ...shared.hidden_states, listed: 2 },
  }
  // The weights of a head have the same shape whatever its classes mean.
  const labels = head?.kind === 'ctc' ? head.vocabulary : ['a', 'b', 'c']
  const weights = initialise({ ...spec, head: { kind: 'classes', labels, pool: 'mean' } }, 7)
  // Away from its even start: every row says something.
  const { data } = weights.get('head.weight')!
  for (let i = 0; i < data.length; i++) data[i] *= 40
  return { spec, weights }
}

export const letters: HeadSpec = { kind: 'ctc', vocabulary: ['', ' ', ...'abcdefghij'] }

/**
 * A model made by hand that writes `text` for each half a second or more of voice, reading forward or, with a block that
 * reads both ways and adds nothing, in windows. One row is 0.1 s and sees 0.4 s; the norm scales both logits alike, so
 * the likelier class stays the same.
 */
export function loudnessModel(text = 'ha ', bidirectional = false): { spec: ModelSpec; weights: Weights } {
  const [window, stride, n] = [40, 10, telephone.n_mels]
  const mamba: MambaSpec = { kind: 'mamba', d_inner: 4, d_state: 1, dt_rank: 1, d_conv: 2 }
  const both: BidirectionalSpec = { kind: 'bidirectional', mamba, combine: 'add', tied: true }
  const spec: ModelSpec = {
    ...shared,
    stem: [{ window, stride, d_out: 2 }],
    d_model: 2,
    norm: { kind: 'rms', eps: 1e-5 },
    blocks: bidirectional ? [{ mixer: both }] : [],
    head: { kind: 'ctc', vocabulary: ['', text] },
  }
  const matrix = (rows: number, cols: number, value: (row: number) => number) =>
    weightOf(
      rows,
      cols,
      Array.from({ length: rows * cols }, (_, i) => value(Math.floor(i / cols))),
    )
  const weights: Weights = new Map([
    ...initialise(spec, 7),
    // Row 0: the mean feature, well above 0 where SiLU is a straight line. Row 1: a constant.
    ['stem.0.weight', matrix(2, window * n, (row) => (row === 0 ? 10 / (window * n) : 0))],
    ['stem.0.bias', weightOf(1, 2, [50, 10])],
    ['norm_f.weight', matrix(1, 2, () => 40)],
    // Voice where the mean feature is above -0.54, that is 31 dB below the level. Rows before the start count as 0.
    ['head.weight', weightOf(2, 2, [0, 4.46, 1, 0])],
  ])
  for (const [name, { data }] of weights) if (name.endsWith('out_proj.weight')) data.fill(0)
  return { spec, weights }
}
