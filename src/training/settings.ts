import * as v from 'valibot'
import { mixerSchema, poolSchema } from '../checkpoints/spec-schema.js'
import { exitCodes, UserError } from '../errors.js'
import { mostBlocks, stemSchema, width } from '../layers/layer-schemas.js'
import { checked, flag, oneOf, real, share, whole } from '../text/schema.js'

/** The shape of a fresh model, whatever it reads. */
const architecture = {
  /** Blocks. */
  layers: v.optional(whole(1, mostBlocks), 4),
  d_model: v.optional(width, 128),
  d_state: v.optional(width, 16),
  /** Width of the depthwise convolution in each mixer. */
  d_conv: v.optional(width, 4),
  /** d_inner = expand * d_model. */
  expand: v.optional(width, 2),
  /** Each block reads both ways (Caduceus BiMamba). */
  bidirectional: v.optional(flag, false),
  /** Both directions share in_proj and out_proj. */
  tied: v.optional(flag, true),
  /** The mixer of every block as a spec has it, of any kind, in place of d_state, d_conv, expand, bidirectional and tied. */
  mixer: v.optional(mixerSchema),
  /** Hidden width of a gated MLP after each mixer; 0: none. */
  mlp: v.optional(whole(0, 65_536), 0),
  norm: v.optional(oneOf('rms', 'layer'), 'rms'),
  /** Strided convolutions before the blocks; the last one's d_out is d_model. */
  stem: v.optional(stemSchema, []),
  pool: v.optional(poolSchema, 'mean'),
}

/** How it learns. */
const regime = {
  epochs: v.optional(whole(1), 20),
  /** Records per step. */
  batch: v.optional(whole(1), 64),
  /** Records per gradient computation; the batch is cut into these, so that results do not depend on the threads. */
  shard: v.optional(whole(1), 8),
  /** Peak learning rate, reached after the warm-up and lowered to 0 along a cosine. */
  lr: v.optional(real(0, 10), 0.002),
  /** That of parts of the model (parts.ts). */
  part_lr: v.optional(v.record(v.string(), real(0, 10), 'an object')),
  /** Share of all steps in which the learning rate rises. */
  warmup: v.optional(share, 0.05),
  weight_decay: v.optional(real(0, 10), 0.05),
  beta1: v.optional(share, 0.9),
  beta2: v.optional(share, 0.98),
  /** Longest gradient (global L2 norm). */
  clip: v.optional(real(0, 1e9), 1),
  label_smoothing: v.optional(share, 0),
  /** Dropout on what each block adds to the residual stream. */
  dropout: v.optional(share, 0),
  /** Dropout on the pooled rows, before the head. */
  head_dropout: v.optional(share, 0),
  /** Decay of a running mean of the weights that is validated and kept instead of the last ones; 0: off. */
  ema: v.optional(share, 0),
  /** Epochs without a better validation after which training stops; 0: never. */
  patience: v.optional(whole(0), 0),
  seed: v.optional(whole(0), 1),
}

/** What "better" means on the validation records: of classes. */
export const classMetric = v.optional(oneOf('mcc', 'accuracy', 'macro_f1', 'loss'), 'mcc')

/** Of transcription. */
export const textMetric = v.optional(oneOf('cer', 'wer', 'loss'), 'cer')

/** The settings that all training has, but for its metric. */
export const common = { ...architecture, ...regime }

export type Architecture = v.InferOutput<v.ObjectSchema<typeof architecture, undefined>>
export type Regime = v.InferOutput<v.ObjectSchema<typeof regime, undefined>> & {
  metric: v.InferOutput<typeof classMetric> | v.InferOutput<typeof textMetric>
}
export type TrainSettings = Architecture & Regime

/** What comes with the model of --from and cannot be set. */
export const bodyKeys = [...Object.keys(architecture).filter((key) => key !== 'pool'), 'd_embed', 'log_mel']

/** All settings from those given (a JSON object), or those under `key`. An unknown key or a wrong value is an error (2) that names it. */
export const complete = <const S extends v.GenericSchema>(schema: S, given: unknown, key = ''): v.InferOutput<S> =>
  checked(schema, given, `training setting ${key}`, usage)

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

export const usage = (message: string) => new UserError(message, exitCodes.usage)
