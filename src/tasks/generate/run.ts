import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { headWidth } from '../../engine/footprint.js'
import { carriedNumbers } from '../../engine/memory.js'
import type { Output } from '../../engine/outputs.js'
import type { Plan } from '../../engine/plan.js'
import { WorkerPool } from '../../engine/workers.js'
import { exitCodes, UserError } from '../../errors.js'
import type { SequenceRecord } from '../../input/dna/records.js'
import type { SkipCounts } from '../../input/problem.js'
import type { Weights } from '../../layers/params.js'
import { packageRoot } from '../../runtime/package-root.js'
import { progressText } from '../../shell/progress.js'
import type { ModelSpec } from '../../spec.js'
import { dnaTokenizer, readsText } from '../../tokens/tokenizer.js'
import { type ComputeOptions, planFor, startNote } from '../compute.js'
import { dryRunText } from '../dry-run.js'
import type { LeftOut } from '../lengths.js'
import type { LeftOutCount, Run } from '../run.js'
import { readsForward } from '../targets.js'
import type { InferenceAnswer, InferenceJob, InferenceSetup } from '../worker.js'
import { Batch } from './batch.js'
import { Continuation, type Finish, type GenerateSettings, type Language, type Prompt } from './continuation.js'

/** A piece of what is written behind a prompt. */
export interface Generated {
  record: SequenceRecord
  text: string
  /** With the last piece. */
  ended?: { finish: Finish; tokens: number; promptTokens: number }
}

/** Prompts, to be read once. */
export interface PromptStream extends AsyncIterable<Prompt> {
  readonly counts: SkipCounts
  readonly left: LeftOut
  /** What tokens are called. */
  unit: 'bases' | 'tokens'
}

export interface GenerateOptions extends ComputeOptions {
  settings: GenerateSettings
}

/** Sequences that all workers decode at a time: a product with 16 rows takes little longer than one with a single row. */
const mostSlots = 16
/** Prompts that may be under way or done before the first that is not: what they write is held. */
const ahead = 4 * mostSlots

/** The logits of the last row of each sequence. */
const wanted: Output = { head: true, pool: 'last' }

/** Errors: 2 for a model that does not write. */
export function checkWrites(spec: ModelSpec): void {
  const { input, head, stem } = spec
  const reads = readsText(spec) || (input.kind === 'tokens' && dnaTokenizer(input).mask === undefined)
  const writes = reads && head?.kind === 'tokens' && stem.length === 0 && readsForward(spec)
  if (writes) return
  const cure = 'longwave train next-base makes one that does'
  throw new UserError(`this model does not predict the next token; ${cure}`, exitCodes.usage)
}

/** Text behind prompts, many at a time; what comes of one does not depend on the others. */
export class GenerateRun implements Run<Generated> {
  private readonly plan: Plan
  private readonly slots: number
  private done = 0
  private tokens = 0

  constructor(
    private readonly model: { spec: ModelSpec; weights: Weights },
    private readonly language: Language,
    private readonly prompts: PromptStream,
    private readonly options: GenerateOptions,
  ) {
    const { spec } = model
    checkWrites(spec)
    const perSlot = 4 * (carriedNumbers(spec) + 3 * headWidth(spec))
    this.plan = planFor(model, { ...options, besides: mostSlots * perSlot }, { wanted })
    const { chunk, workers } = this.plan
    this.slots = Math.max(1, Math.min(chunk, Math.floor(mostSlots / workers)))
  }

  /** In the order of the prompts; of the first that is not done piece by piece. */
  async *results(): AsyncGenerator<Generated> {
    const { model, plan, slots, options } = this
    const { chunk, keptWeights, deviceSpoolBytes, matrices, workers } = plan
    const all = { from: 0, to: model.spec.blocks.length }
    const setup: InferenceSetup = {
      ...model,
      device: options.device,
      chunk,
      wanted,
      keptWeights,
      matrices,
      deviceSpoolBytes,
      slots,
      stages: [all],
    }
    const script = pathToFileURL(join(packageRoot, 'dist/src/tasks/worker.js'))
    const pool = new WorkerPool<InferenceJob, InferenceAnswer>(script, setup, workers)
    const onStarted = startNote(options)
    const batches = Array.from({ length: workers }, () => new Batch(slots, chunk))
    const running = new Map<Batch, Promise<void>>()
    const step = async (batch: Batch, worker: number) => {
      const { reads, started } = await pool.run({ ...batch.next(), stage: 0 }, [], worker)
      if (started) onStarted(started)
      if (reads[0].width > 0) batch.take(reads[0])
      running.delete(batch)
    }
    const queue = new Queue(this.prompts)
    const open: Continuation[] = []
    try {
      for (;;) {
        const free = batches.filter(({ full }) => !full).sort((a, b) => a.used - b.used)[0]
        if (free && open.length < ahead) {
          const prompt = queue.take()
          if (prompt) {
            const continuation = new Continuation(prompt, options.settings, this.language)
            open.push(continuation)
            free.add(continuation)
            continue
          }
          queue.ask()
        }
        for (const [worker, batch] of batches.entries()) {
          if (batch.used === 0 || running.has(batch)) continue
          const stepping = step(batch, worker)
          stepping.catch(() => {}) // whoever waits for it sees it
          running.set(batch, stepping)
        }
        const waiting = [...running.values(), ...(queue.asked ? [queue.asked] : [])]
        if (waiting.length === 0) return
        await Promise.race(waiting)
        yield* this.written(open)
      }
    } finally {
      await pool.close()
      await queue.close()
    }
  }

  /** What is new of the first, and of all that follow one that is done. */
  private *written(open: Continuation[]): Generator<Generated> {
    while (open.length > 0) {
      const [{ record, tokens, promptTokens, finish }] = open
      const text = open[0].take()
      if (finish) yield { record, text, ended: { finish, tokens, promptTokens } }
      else if (text !== '') yield { record, text }
      if (!finish) return
      this.done++
      this.tokens += tokens
      open.shift()
    }
  }

  dryRun(): Promise<string> {
    const known = { unit: this.prompts.unit, number: Number.POSITIVE_INFINITY }
    return dryRunText(this.model.spec, this.plan, this.options, known)
  }

  progress(seconds: number): string {
    const unit = this.prompts.unit === 'bases' ? 'bp' : 'tokens'
    return progressText({ records: this.done, tokens: this.tokens, unit, seconds })
  }

  leftOut(): LeftOutCount[] {
    const { left, counts } = this.prompts
    return [
      [left.empty, 'empty'],
      [counts.skippedRecords, 'bad records'],
      [counts.skippedFiles, 'bad files'],
    ]
  }
}

/** Prompts, of which the next one may be long in coming: nothing waits for it. */
class Queue {
  asked: Promise<void> | null = null
  private readonly prompts: AsyncIterator<Prompt>
  private ready: Prompt | null = null
  private over = false

  constructor(prompts: AsyncIterable<Prompt>) {
    this.prompts = prompts[Symbol.asyncIterator]()
  }

  /** The next prompt, if it is there. */
  take(): Prompt | null {
    const { ready } = this
    this.ready = null
    return ready
  }

  ask(): void {
    if (this.asked || this.over) return
    this.asked = this.prompts.next().then(({ value, done }) => {
      this.asked = null
      if (done) this.over = true
      else this.ready = value
    })
    this.asked.catch(() => {}) // whoever waits for it sees it
  }

  async close(): Promise<void> {
    if (!this.asked) await this.prompts.return?.()
  }
}
