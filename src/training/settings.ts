import type { NormSpec, Pool, StemSpec } from '../spec.js'
import { flag, oneOf, type Rule, type Rules, real, usage, whole } from './rules.js'

/** The shape of a fresh model, whatever it reads. */
export interface Architecture {
  /** Blocks. */
  layers: number
  d_model: number
  d_state: number
  /** Width of the depthwise convolution in each mixer. */
  d_conv: number
  /** d_inner = expand * d_model. */
  expand: number
  /** Each block reads both ways (Caduceus BiMamba). */
  bidirectional: boolean
  /** Both directions share in_proj and out_proj. */
  tied: boolean
  /** Hidden width of a gated MLP after each mixer; 0: none. */
  mlp: number
  norm: NormSpec['kind']
  /** Strided convolutions before the blocks; the last one's d_out is d_model. */
  stem: StemSpec[]
  pool: Pool
}

/** How it learns. */
export interface Regime {
  epochs: number
  /** Records per step. */
  batch: number
  /** Records per gradient computation; the batch is cut into these, so that results do not depend on the threads. */
  shard: number
  /** Peak learning rate, reached after the warm-up and lowered to 0 along a cosine. */
  lr: number
  /** Share of all steps in which the learning rate rises. */
  warmup: number
  weight_decay: number
  beta1: number
  beta2: number
  /** Longest gradient (global L2 norm). */
  clip: number
  label_smoothing: number
  /** Dropout on what each block adds to the residual stream. */
  dropout: number
  /** Dropout on the pooled rows, before the head. */
  head_dropout: number
  /** Decay of a running mean of the weights that is validated and kept instead of the last ones; 0: off. */
  ema: number
  /** Epochs without a better validation after which training stops; 0: never. */
  patience: number
  /** What "better" means on the validation records. */
  metric: 'mcc' | 'accuracy' | 'macro_f1' | 'loss' | 'wer' | 'cer'
  seed: number
}

/** What all training has. */
export type TrainSettings = Architecture & Regime

const architecture: Rules<Architecture> = {
  layers: whole(4, 1),
  d_model: whole(128, 1),
  d_state: whole(16, 1),
  d_conv: whole(4, 1),
  expand: whole(2, 1),
  bidirectional: flag(false),
  tied: flag(true),
  mlp: whole(0, 0),
  norm: oneOf('rms', 'layer'),
  stem: stem([]),
  pool: oneOf<Pool>('mean', 'max', 'last', 'center', 'flatten'),
}

const regime: Rules<Regime> = {
  epochs: whole(20, 1),
  batch: whole(64, 1),
  shard: whole(8, 1),
  lr: real(0.002, 0, 10),
  warmup: real(0.05, 0, 1),
  weight_decay: real(0.05, 0, 10),
  beta1: real(0.9, 0, 1),
  beta2: real(0.98, 0, 1),
  clip: real(1, 0, 1e9),
  label_smoothing: real(0, 0, 1),
  dropout: real(0, 0, 1),
  head_dropout: real(0, 0, 1),
  ema: real(0, 0, 1),
  patience: whole(0, 0),
  metric: oneOf<Regime['metric']>('mcc', 'accuracy', 'macro_f1', 'loss'),
  seed: whole(1, 0),
}

/** The rules that all settings share. */
export const common: Rules<TrainSettings> = { ...architecture, ...regime }

/** What comes with the model of --from and cannot be set. */
export const bodyKeys = [...Object.keys(architecture).filter((key) => key !== 'pool'), 'd_embed', 'log_mel']

/**
 * Whether the blocks are as wide as what they are given: the last convolution of the stem, or, without a stem, the `input`
 * (an embedding takes the width of the model). Errors: 2.
 */
export function checkStem({ stem, d_model }: TrainSettings, input?: { width: number; name: string }): void {
  const last = stem.at(-1)
  if (last && last.d_out !== d_model)
    throw usage(`the last stem convolution has d_out ${last.d_out}, expected d_model (${d_model})`)
  if (!last && input && input.width !== d_model)
    throw usage(`without a stem d_model must be ${input.width} (${input.name}), not ${d_model}`)
}

function stem(value: StemSpec[]): Rule<StemSpec[]> {
  return { value, expected: 'a list of {"window", "stride", "d_out"} with window >= stride', ok: isStem }
}

function isStem(value: unknown): boolean {
  const count = (x: unknown) => Number.isSafeInteger(x) && (x as number) >= 1
  return (
    Array.isArray(value) &&
    value.every(
      (s: Partial<StemSpec>) => count(s?.window) && count(s?.stride) && count(s?.d_out) && s.window! >= s.stride!,
    )
  )
}
