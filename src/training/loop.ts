import { createHash } from 'node:crypto'
import { type Device, devices } from '../backends/registry.js'
import { weightOf } from '../backends/weight.js'
import { exitCodes, UserError } from '../errors.js'
import type { Weights } from '../layers/params.js'
import { Random } from '../runtime/random.js'
import type { ModelSpec } from '../spec.js'
import { sha256Of } from './data/hashed.js'
import type { Data } from './data/labelled-set.js'
import { countOf } from './data/targets.js'
import { DataParallel } from './data-parallel.js'
import { sizeOf } from './gradient-sum.js'
import type { Calibrated } from './metrics/temperature.js'
import { calibrationOn, scoreOf, type Validation, validation } from './metrics/validation.js'
import { learningRate } from './optimizer.js'
import { type HostTensor, hostTensors, type TrainingState } from './replica.js'
import { type Best, RunFolder, type Standing } from './run-folder.js'
import type { TrainSettings } from './settings.js'

export interface TrainRun {
  /** Folder of the model, the run log and, until the run is finished, the checkpoint. */
  out: string
  spec: ModelSpec
  /** Where the run starts. */
  weights: Weights
  /** Names of the weights that learn. */
  trainable: string[]
  settings: TrainSettings
  train: Data
  valid: Data | null
  device: Device
  threads: number
  /** What else the model's config says of its making: names and sums of the data files. */
  provenance: Record<string, unknown>
  /** Files that go with the model, by their names. */
  companions?: ReadonlyMap<string, Uint8Array>
  /** name, description, licence of the model. */
  card: Record<string, unknown>
  /** Replaces what is in `out`. */
  force?: boolean
  onProgress?: (progress: TrainProgress) => void
  /** Stops: gives up the gradient at hand, or ends the update or the validation at hand; the run can be continued. */
  signal?: AbortSignal
}

export interface TrainProgress {
  step: number
  steps: number
  epoch: number
  epochs: number
  /** Means over the epoch so far. */
  loss: number
  accuracy: number
  tokensPerSecond: number
  /** Seconds to the last step. */
  eta: number
  /** The validation that ended with this step, if one did, and whether it is the best so far. */
  valid: Validation | null
  isBest: boolean
}

export interface TrainResult {
  finished: boolean
  step: number
  best: { step: number; score: number } | null
  /** Of a classifier with validation records. */
  calibration?: Calibrated
}

const checkpointEvery = 60_000 // ms
const logEvery = 20 // steps
const orderStream = 2

/**
 * Trains until the last epoch, until patience runs out, or until the signal. Same run on the same device, same bytes, whatever the number
 * of threads and however often it was interrupted; a run may go on on another device. Errors: 73 when `out` holds another run or a finished model, 1 when
 * the loss, the gradient or a weight is no longer a finite number.
 */
export async function train(run: TrainRun): Promise<TrainResult> {
  const { out, spec, settings, trainable, train: records, valid } = run
  const { batch, shard, epochs, patience, seed } = settings
  const frozen = new Map([...run.weights].filter(([name]) => !trainable.includes(name)))
  const { companions = new Map<string, Uint8Array>() } = run
  const files = Object.fromEntries([...companions].map(([name, bytes]) => [name, sha256Of(bytes)]))
  const provenance = { ...run.provenance, ...(companions.size > 0 ? { files } : {}) }
  const identity = { settings, spec, trainable, frozen: sumOf(frozen), ...provenance }
  const folder = await RunFolder.open(out, identity, run.force)
  const at: Standing = folder.resumed ?? {
    state: freshState(run),
    best: null,
    stale: 0,
    epoch: { loss: 0, right: 0, records: 0 },
  }
  const count = countOf(records)
  const stepsPerEpoch = Math.ceil(count / batch)
  const steps = epochs * stepsPerEpoch
  const slotBytes = 4 * sizeOf(at.state.weights.values())
  const slots =
    devices[run.device].lanes === 1
      ? null
      : new SharedArrayBuffer(Math.ceil(Math.min(batch, count) / shard) * slotBytes)
  const workers = new DataParallel(
    { spec, settings, state: at.state, frozen, train: records, valid, slots },
    run.device,
    run.threads,
    shard,
    run.signal,
  )

  let { step } = at.state
  let order: { epoch: number; records: Int32Array } = { epoch: -1, records: new Int32Array() }
  let saved = Date.now()
  const speed = new Speed()
  const state = async () => {
    const now = await workers.state()
    for (const { data } of now.weights.values())
      for (const value of data) if (!Number.isFinite(value)) checkFinite('weight', value, step, settings)
    return now
  }
  const save = async () => {
    at.state = await state()
    await folder.save(at)
    saved = Date.now()
  }

  const stopped = async (): Promise<TrainResult> => {
    await save()
    return { finished: false, step, ...summary(at.best) }
  }

  try {
    while (step < steps && !(patience > 0 && at.stale >= patience)) {
      let latest: Validation | null = null
      const epoch = Math.floor(step / stepsPerEpoch)
      if (order.epoch !== epoch) order = { epoch, records: shuffled(count, seed, epoch) }
      const from = (step % stepsPerEpoch) * batch
      const chosen = order.records.subarray(from, from + batch)
      speed.start()
      const result = await workers.gradients(step, chosen)
      if (result === null) return await stopped()
      step++
      checkFinite('loss', result.loss, step, settings)
      const norm = await workers.update(step, steps, chosen.length)
      // What is not finite is in the weights by now: nothing after this is saved.
      checkFinite('gradient', norm, step, settings)
      speed.stop(result.tokens)
      at.epoch.loss += result.loss * chosen.length
      at.epoch.right += result.right
      at.epoch.records += chosen.length
      const loss = at.epoch.loss / at.epoch.records
      const accuracy = at.epoch.right / at.epoch.records
      if (step % logEvery === 0)
        await folder.write({
          step,
          loss: result.loss,
          lr: learningRate(step, steps, settings),
          gradient_norm: norm,
          tokens_per_second: Math.round(speed.tokensPerSecond),
        })

      if (step % stepsPerEpoch === 0) {
        const said = valid && (await workers.evaluate(countOf(valid)))
        if (said) latest = validation(spec.head, valid, said)
        if (latest) checkFinite('validation loss', latest.loss, step, settings)
        await folder.write({
          step,
          epoch: epoch + 1,
          train_loss: loss,
          train_accuracy: accuracy,
          ...(latest ? { valid: latest } : {}),
        })
        if (latest && said) {
          const score = scoreOf(latest, settings.metric)
          at.stale++
          if (!at.best || score > at.best.score) {
            const calibration = calibrationOn(spec.head, valid, said)
            at.best = { step, score, weights: evaluated(await state()), calibration }
            at.stale = 0
          }
        }
        at.epoch = { loss: 0, right: 0, records: 0 }
      }
      run.onProgress?.({
        step,
        steps,
        epoch: epoch + 1,
        epochs,
        loss,
        accuracy,
        tokensPerSecond: speed.tokensPerSecond,
        eta: speed.secondsPerStep * (steps - step),
        valid: latest,
        isBest: latest !== null && at.stale === 0,
      })
      if (run.signal?.aborted) return await stopped()
      if (Date.now() - saved > checkpointEvery) await save()
    }
    at.state = await state()
    const { best } = at
    const weights = best?.weights ?? evaluated(at.state)
    const training = { settings, ...provenance, device: run.device, steps: step, ...summary(best) }
    const all = new Map([...frozen, ...single(weights)])
    await folder.finish(at, withTemperature(spec, best), all, { ...run.card, training }, companions)
    return { finished: true, step, ...summary(best) }
  } catch (error) {
    await folder.abandon()
    throw error
  } finally {
    await workers.close()
  }
}

function checkFinite(what: string, value: number, step: number, { lr }: TrainSettings): void {
  if (Number.isFinite(value)) return
  const text = `training diverged: the ${what} of step ${step} is ${value}; a lower lr (now ${lr}) may help`
  throw new UserError(text, exitCodes.internal)
}

function freshState({ weights, settings, trainable }: TrainRun): TrainingState {
  const learning = hostTensors(new Map(trainable.map((name) => [name, weights.get(name)!])))
  return {
    step: 0,
    weights: learning,
    moments: new Map(),
    ema: settings.ema > 0 ? new Map([...learning].map(([name, { data }]) => [name, data])) : null,
  }
}

function shuffled(count: number, seed: number, epoch: number): Int32Array {
  return new Random(seed, orderStream, epoch).shuffle(Int32Array.from({ length: count }, (_, i) => i))
}

/** The weights that are validated: with `ema`, the running means. */
function evaluated({ weights, ema }: TrainingState): Map<string, HostTensor> {
  return new Map([...weights].map(([name, w]) => [name, { ...w, data: ema?.get(name) ?? w.data }]))
}

function single(weights: Map<string, HostTensor>): Weights {
  return new Map([...weights].map(([name, w]) => [name, weightOf(w.rows, w.cols, w.data)]))
}

/** A checkpoint does not hold frozen weights: who goes on from it must bring the same ones. */
function sumOf(weights: Weights): string {
  const hash = createHash('sha256')
  for (const [name, { dtype, data }] of weights)
    hash.update(`${name} ${dtype}\n`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return hash.digest('hex')
}

const withTemperature = (spec: ModelSpec, best: Best | null): ModelSpec =>
  spec.head?.kind === 'classes' && best?.calibration
    ? { ...spec, head: { ...spec.head, temperature: best.calibration.temperature } }
    : spec

const summary = (best: Best | null): Pick<TrainResult, 'best' | 'calibration'> => ({
  best: best && { step: best.step, score: best.score },
  ...(best?.calibration ? { calibration: best.calibration } : {}),
})

/** Tokens and steps per second, the latest steps counting most. */
class Speed {
  tokensPerSecond = 0
  secondsPerStep = 0
  private from = 0
  private steps = 0

  start(): void {
    this.from = performance.now()
  }

  stop(tokens: number): void {
    const seconds = (performance.now() - this.from) / 1000
    const share = Math.max(0.05, 1 / ++this.steps)
    this.secondsPerStep += share * (seconds - this.secondsPerStep)
    this.tokensPerSecond += share * (tokens / seconds - this.tokensPerSecond)
  }
}
