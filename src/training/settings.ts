import { exitCodes, UserError } from '../shell/errors.js'
import type { NormSpec, Pool, StemSpec } from '../spec.js'

/** The shape of a fresh model. */
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
  /** Width of the embedding; without a stem it is d_model. */
  d_embed: number
  /** Strided convolutions between embedding and blocks; the last one's d_out is d_model. */
  stem: StemSpec[]
  pool: Pool
  strand: 'symmetric' | 'stranded'
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
  /** Dropout on the read-out, before the head. */
  head_dropout: number
  /** Augmentation: share of bases replaced by another. */
  substitutions: number
  /** Augmentation: a random window of this many bases of each record; 0: the whole record. */
  crop: number
  /** Augmentation: the record slides by up to this many bases either way, N fills the gap. */
  shift: number
  /** Augmentation: share of records whose one end, up to a random place, is taken from another record of the class. */
  crossover: number
  /** Decay of a running mean of the weights that is validated and kept instead of the last ones; 0: off. */
  ema: number
  /** Epochs without a better validation after which training stops; 0: never. */
  patience: number
  /** What "better" means on the validation records. */
  metric: 'mcc' | 'accuracy' | 'macro_f1' | 'loss'
  seed: number
}

export type TrainSettings = Architecture & Regime

interface Rule<T> {
  value: T
  expected: string
  ok(value: unknown): boolean
}

const whole = (value: number, least: number): Rule<number> => ({
  value,
  expected: `a whole number, ${least} or more`,
  ok: (x) => Number.isSafeInteger(x) && (x as number) >= least,
})
const real = (value: number, least: number, below: number): Rule<number> => ({
  value,
  expected: `a number from ${least} to below ${below}`,
  ok: (x) => typeof x === 'number' && x >= least && x < below,
})
const flag = (value: boolean): Rule<boolean> => ({
  value,
  expected: 'true or false',
  ok: (x) => typeof x === 'boolean',
})
const oneOf = <T extends string>(value: T, ...others: T[]): Rule<T> => ({
  value,
  expected: `one of ${[value, ...others].join(', ')}`,
  ok: (x) => [value, ...others].some((name) => name === x),
})

const architecture: { [K in keyof Architecture]: Rule<Architecture[K]> } = {
  layers: whole(4, 1),
  d_model: whole(128, 1),
  d_state: whole(16, 1),
  d_conv: whole(4, 1),
  expand: whole(2, 1),
  bidirectional: flag(false),
  tied: flag(true),
  mlp: whole(0, 0),
  norm: oneOf('rms', 'layer'),
  d_embed: whole(16, 1),
  stem: { value: [], expected: 'a list of {"window", "stride", "d_out"} with window >= stride', ok: isStem },
  pool: oneOf<Pool>('mean', 'max', 'last', 'center', 'positions'),
  strand: oneOf<Architecture['strand']>('stranded', 'symmetric'),
}

const regime: { [K in keyof Regime]: Rule<Regime[K]> } = {
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
  substitutions: real(0, 0, 1),
  crop: whole(0, 0),
  shift: whole(0, 0),
  crossover: real(0, 0, 1),
  ema: real(0, 0, 1),
  patience: whole(0, 0),
  metric: oneOf<Regime['metric']>('mcc', 'accuracy', 'macro_f1', 'loss'),
  seed: whole(1, 0),
}

const rules = { ...architecture, ...regime }

export const architectureKeys = Object.keys(architecture)

/** All settings from those given (a JSON object); an unknown key or a wrong value is an error (2) that names it. */
export function completeSettings(given: Record<string, unknown>): TrainSettings {
  const table: Record<string, Rule<unknown>> = rules
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(table, key))
      throw usage(`unknown training setting '${key}'; there are ${Object.keys(table).join(', ')}`)
    if (!table[key].ok(value))
      throw usage(`training setting ${key} is ${JSON.stringify(value)}, expected ${table[key].expected}`)
  }
  const defaults = Object.fromEntries(Object.entries(table).map(([key, rule]) => [key, rule.value]))
  const settings = { ...defaults, ...given } as unknown as TrainSettings
  const { stem, d_model, crop, shift, pool } = settings
  if (stem.length > 0 && stem[stem.length - 1].d_out !== d_model)
    throw usage(`the last stem convolution has d_out ${stem[stem.length - 1].d_out}, expected d_model (${d_model})`)
  if (crop > 0 && (pool === 'center' || pool === 'positions'))
    throw usage(`crop moves records about, which the read-out '${pool}' cannot follow; use shift`)
  if (crop > 0 && shift > 0) throw usage('crop and shift exclude each other')
  return settings
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

const usage = (message: string) => new UserError(message, exitCodes.usage)
