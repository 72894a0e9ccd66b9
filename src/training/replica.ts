import type { Backend, FloatArray, Tensor } from '../backends/backend.js'
import { widened } from '../backends/weight.js'
import type { Weights } from '../layers/params.js'
import { Random } from '../runtime/random.js'
import type { ModelSpec } from '../spec.js'
import type { Examples } from './data/examples.js'
import { type Data, examplesOf } from './data/labelled-set.js'
import { DeviceSum, type GradientSum, SharedSum } from './gradient-sum.js'
import { answers, objective, shareRight } from './objective.js'
import { type Moments, Optimizer } from './optimizer.js'
import { outputs, plainOutputs } from './outputs.js'
import type { TrainSettings } from './settings.js'
import { Tape } from './tape.js'

/** A number array on the host with its shape. */
export interface HostTensor {
  rows: number
  cols: number
  data: FloatArray
}

/** Of what a checkpoint holds, widened. */
export function hostTensors(weights: Weights): Map<string, HostTensor> {
  return new Map([...weights].map(([name, w]) => [name, { rows: w.rows, cols: w.cols, data: widened(w) }]))
}

/** All that changes while a model learns. */
export interface TrainingState {
  /** Steps taken. */
  step: number
  /** Those that learn. */
  weights: Map<string, HostTensor>
  /** Of each; empty before the first step. */
  moments: Map<string, Moments>
  /** Running mean of each; null without `ema`. */
  ema: Map<string, FloatArray> | null
}

export interface ReplicaSetup {
  spec: ModelSpec
  settings: TrainSettings
  /** Its weights are in the order of the gradient slots. */
  state: TrainingState
  /** The weights that do not learn. */
  frozen: Weights
  train: Data
  valid: Data | null
  /** [shards, trainable numbers] float32: the gradient of each shard of the step. null: there is one replica, which keeps them on its device. */
  slots: SharedArrayBuffer | null
  /** [1] int32, not 0: gradients are given up. */
  stop: SharedArrayBuffer
}

export type Job =
  /** Gradient of a shard of a step's batch; `total`: records of the whole batch. */
  | { kind: 'gradient'; step: number; shard: number; records: Int32Array; total: number }
  /** AdamW on the sum of the gradients of `shards`: a step of `steps`. */
  | { kind: 'update'; step: number; steps: number; shards: number }
  /** What the model says of validation records. */
  | { kind: 'evaluate'; records: Int32Array }
  | { kind: 'state' }

export type Answer =
  | { kind: 'gradient'; loss: number; right: number; tokens: number }
  | { kind: 'given up' }
  | { kind: 'update'; norm: number }
  | ({ kind: 'evaluate' } & Evaluated)
  | { kind: 'state'; state: TrainingState }

/** Of each record: the loss, and its class or the tokens of its text. */
export interface Evaluated {
  losses: Float64Array
  answers: Int32Array[]
  /** [records, classes]; of a model that transcribes none. */
  logits: Float64Array
}

/** Thrown where a gradient is given up. */
class GivenUp extends Error {}

const streams = { augmentation: 3, dropout: 4 }

/**
 * One copy of the model in training. Every worker has one; all of them take every update, from the same gradients in the
 * same order, so they stay equal to the bit.
 */
export class Replica {
  /** Frozen ones, too. */
  readonly #weights: Map<string, Tensor>
  readonly #trainable: Map<string, Tensor>
  readonly #sum: GradientSum
  readonly #stop: Int32Array
  readonly #optimizer: Optimizer
  readonly #ema: Map<string, Tensor> | null
  readonly #train: Examples
  readonly #valid: Examples | null
  #step: number

  constructor(
    private readonly backend: Backend,
    private readonly setup: ReplicaSetup,
  ) {
    const { state, frozen, settings, spec, train, valid, slots } = setup
    this.#train = examplesOf(train, spec, settings)
    this.#valid = valid && examplesOf(valid, spec, settings)
    const uploaded = (weights: Map<string, HostTensor>) =>
      [...weights].map(([name, { rows, cols, data }]) => [name, backend.upload(data, rows, cols)] as const)
    this.#trainable = new Map(uploaded(state.weights))
    this.#weights = new Map([...this.#trainable, ...uploaded(hostTensors(frozen))])
    this.#sum = slots ? new SharedSum(backend, this.#trainable, slots) : new DeviceSum(backend)
    this.#stop = new Int32Array(setup.stop)
    this.#optimizer = new Optimizer(backend, this.#trainable, settings, state.moments)
    const meanOf = ([name, data]: [string, FloatArray]) => {
      const { rows, cols } = this.#trainable.get(name)!
      return [name, backend.upload(data, rows, cols)] as const
    }
    this.#ema = state.ema && new Map([...state.ema].map(meanOf))
    this.#step = state.step
  }

  async do(job: Job): Promise<Answer> {
    switch (job.kind) {
      case 'gradient':
        return this.#gradient(job.step, job.shard, job.records, job.total).catch((error) => {
          if (error instanceof GivenUp) return { kind: 'given up' }
          throw error
        })
      case 'update':
        return { kind: 'update', norm: await this.#update(job.step, job.steps, job.shards) }
      case 'evaluate':
        return { kind: 'evaluate', ...(await this.#evaluate(job.records)) }
      case 'state':
        return { kind: 'state', state: await this.#state() }
      default:
        return job satisfies never
    }
  }

  async #gradient(step: number, shard: number, records: Int32Array, total: number): Promise<Answer> {
    const { spec, settings } = this.setup
    const { seed, dropout, head_dropout, label_smoothing } = settings
    const batch = this.#train.augmented(records, new Random(seed, streams.augmentation, step, shard))
    const random = new Random(seed, streams.dropout, step, shard)
    const gradients = new Map([...this.#trainable].map(([name, p]) => [name, this.backend.zeros(p.rows, p.cols)]))
    const into = new Map([...this.#trainable].map(([name, p]) => [p, gradients.get(name)!]))
    const tape = new Tape(this.backend, into, { p: dropout, random }, () => {
      if (Atomics.load(this.#stop, 0) !== 0) throw new GivenUp()
    })
    const out = await outputs(tape, spec, this.#weights, batch, { p: head_dropout, random })
    const answered = { logits: await this.backend.download(out.logits), offsets: out.offsets, targets: batch.targets }
    const { losses, dLogits } = objective(spec.head, answered, label_smoothing)
    for (let i = 0; i < dLogits.length; i++) dLogits[i] /= total
    await tape.backward(out.logits, this.backend.upload(dLogits, out.logits.rows, out.logits.cols))
    tape.release(out.logits)
    await this.#sum.put(shard, gradients)
    const said = answers(spec.head, answered)
    const right = said.reduce((sum, answer, s) => sum + shareRight(spec.head, answer, batch.targets[s]), 0)
    return { kind: 'gradient', loss: losses.reduce((a, b) => a + b, 0), right, tokens: batch.offsets[records.length] }
  }

  async #update(step: number, steps: number, shards: number): Promise<number> {
    const gradients = this.#sum.take(shards)
    const norm = await this.#optimizer.apply(gradients, step, steps)
    this.backend.release(...gradients.values())
    this.#step = step
    if (this.#ema) {
      // Early on the mean is over the few steps there are.
      const decay = Math.min(this.setup.settings.ema, (1 + step) / (10 + step))
      for (const [name, mean] of this.#ema)
        this.backend.gradients!.runningMean(mean, this.#trainable.get(name)!, 1 - decay)
    }
    return norm
  }

  async #evaluate(records: Int32Array): Promise<Evaluated> {
    const { spec } = this.setup
    const weights = new Map([...this.#weights, ...(this.#ema ?? [])])
    const answered = await plainOutputs(this.backend, spec, weights, this.#valid!, records)
    return {
      losses: objective(spec.head, answered, 0).losses,
      answers: answers(spec.head, answered),
      logits: spec.head?.kind === 'classes' ? answered.logits : new Float64Array(0),
    }
  }

  async #state(): Promise<TrainingState> {
    const weights = new Map<string, HostTensor>()
    for (const [name, tensor] of this.#trainable)
      weights.set(name, { rows: tensor.rows, cols: tensor.cols, data: await this.backend.download(tensor) })
    const ema = this.#ema && new Map<string, FloatArray>()
    for (const [name, mean] of this.#ema ?? []) ema!.set(name, await this.backend.download(mean))
    return { step: this.#step, weights, moments: await this.#optimizer.moments(), ema }
  }
}
