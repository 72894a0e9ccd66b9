import { type Device, defaultDevice, devices, type Precision, pickDevice, precisions } from '../backends/registry.js'
import { modelFolder } from '../checkpoints/catalogue.js'
import { openCheckpoint } from '../checkpoints/open.js'
import { readEnds, readTokenizer } from '../checkpoints/tokenizer-files.js'
import type { Input } from '../engine/chunk.js'
import { Network } from '../engine/network.js'
import { planOf } from '../engine/plan.js'
import type { ModelState } from '../engine/state.js'
import type { CutLimits } from '../engine/sweep.js'
import { exitCodes, UserError } from '../errors.js'
import { type GivenSequences, givenRecords } from '../input/dna/given.js'
import { wholeRecords } from '../input/dna/records.js'
import type { GivenTexts } from '../input/lines/read.js'
import type { GivenVariants } from '../input/vcf/given.js'
import { uploadWeights } from '../layers/params.js'
import { availableThreads } from '../runtime/threads.js'
import type { ModelSpec } from '../spec.js'
import type { TextTokenizer } from '../tokens/text.js'
import { dnaTokenizer, readsText } from '../tokens/tokenizer.js'
import { closedError, ModelSession, type PushOptions, type PushResult, type ReadOptions } from './model-session.js'
import type {
  ClassifiedRow, ClassifyOptions, EmbeddedRow, EmbedOptions, GeneratedRow, GenerateOptions, Inputs, ScoredRow, ScoreOptions,
  ScoreVariantsOptions, TranscribeOptions, TranscriptLine, VariantRow,
} from './row-types.js' // biome-ignore format: a list
import {
  classifyRows,
  embedRows,
  generateRows,
  type OpenedModel,
  scoreRows,
  transcribeLines,
  variantRows,
} from './rows.js'

export interface OpenOptions {
  /** Default: cpu. `auto`: a GPU where there is one, otherwise cpu. */
  device?: 'auto' | Device
  /** Default: f32. f16: of a GPU, matrix products by its matrices of float16. */
  precision?: Precision
  /** Tokens computed at a time: memory and speed, never the result. Rounded up to a multiple of the model's stride. */
  chunk?: number
  /** Of `classify`, `embed` and `transcribe`; default: the cores that may be used. */
  threads?: number
  /** Gets the lines for a person about a model of the hub: its licence, and what goes on with the network. Absent: none is written. */
  note?: (line: string) => void
}

export interface ForwardOptions extends ReadOptions, PushOptions {
  /** The state that an earlier call on the tokens before these has given; causal models only. */
  state?: ModelState
}

export interface ForwardResult extends PushResult {
  /**
   * To go on from; absent for a model that needs its sequence whole, or where L is no multiple of the model's stride.
   */
  state?: ModelState
}

/**
 * Opens a bundled model by its name, a model of the hub (`ORG/NAME`), or any model folder, of any layout (checkpoints/layouts.ts).
 * Errors: UserError with exit code 69 when it cannot be had or is broken, 2 for a chunk or threads that are no number of them and for a
 * precision that there is not.
 */
export async function openModel(nameOrFolder: string, options: OpenOptions = {}): Promise<Model> {
  const { device: wanted = defaultDevice, precision, chunk, threads = availableThreads(), note } = options
  for (const [name, value] of Object.entries({ chunk, threads }))
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1))
      throw new UserError(`${name} is ${value}, expected a whole number above 0`, exitCodes.usage)
  if (precision !== undefined && !precisions.includes(precision))
    throw new UserError(`precision is ${precision}, expected ${precisions.join(' or ')}`, exitCodes.usage)
  const { spec, weights, folder, config } = await openCheckpoint(await modelFolder(nameOrFolder, { note }))
  const { device, gpu } = await pickDevice(wanted, { precision })
  const plan = planOf(spec, { device, gpu, precision, chunk, threads: 1, weights })
  const backend = await devices[device].open(plan)
  const network = new Network(backend, spec, uploadWeights(backend, weights))
  let tokenizer: Promise<TextTokenizer> | undefined
  const readOnce = () => {
    tokenizer ??= readTokenizer(folder, spec)
    return tokenizer
  }
  const ends = async () => readEnds(folder, config, await readOnce())
  return new Model(network, plan, { spec, weights, tokenizer: readOnce, ends, device, gpu, precision, threads, chunk })
}

/** A model on a backend. One call at a time; `close` when done. */
export class Model {
  private closed = false

  constructor(
    private readonly network: Network,
    private readonly limits: CutLimits,
    private readonly opened: OpenedModel,
  ) {}

  get spec(): ModelSpec {
    return this.network.spec
  }

  /**
   * Token ids [L]; of a model whose input is no tokens float32 rows [L, d_embed]. A session of one call. Errors:
   * UserError with exit code 65 for what the model does not read, 2 for a state or a modality it cannot take and for a model that was
   * closed.
   */
  async forward(input: Input, { state, modality, ...wanted }: ForwardOptions = {}): Promise<ForwardResult> {
    const session = this.session(wanted, state)
    try {
      const result: ForwardResult = await session.push(input, { modality })
      if (session.resumable) result.state = await session.save()
      return result
    } finally {
      session.close()
    }
  }

  /**
   * A sequence that comes call by call, its state kept on the device in between: token by token, or as it is read.
   * `state`: where it goes on from. Errors: UserError with exit code 2 for a state it cannot take and for a model that
   * was closed.
   */
  session(wanted: ReadOptions = {}, state?: ModelState): ModelSession {
    this.checkOpen()
    const session = new ModelSession(this.network, this.limits, wanted, () => this.closed)
    try {
      if (state) session.load(state)
    } catch (error) {
      session.close()
      throw error
    }
    return session
  }

  /**
   * The ids of a DNA sequence or a text, as `forward` takes them. Errors: UserError with exit code 65 for letters that are no DNA, 69
   * for a model that reads neither, or whose tokenizer is not beside it.
   */
  async tokenize(sequence: string): Promise<Int32Array> {
    if (readsText(this.spec)) return (await this.opened.tokenizer()).encode(sequence)
    const tokenizer = dnaTokenizer(this.spec.input)
    for await (const { codes } of wholeRecords(givenRecords([{ id: '', sequence }]))) return tokenizer.ids(codes, true)
    return new Int32Array(0)
  }

  /** Labels of sequences or recordings, as the command `classify` writes them; see `classifyRows` for errors. */
  classify(inputs: Inputs, options: ClassifyOptions = {}): AsyncGenerator<ClassifiedRow> {
    this.checkOpen()
    return classifyRows(this.opened, inputs, options)
  }

  /** Vectors of sequences or recordings, as the command `embed` writes them. */
  embed(inputs: Inputs, options: EmbedOptions = {}): AsyncGenerator<EmbeddedRow> {
    this.checkOpen()
    return embedRows(this.opened, inputs, options)
  }

  /** Lines of recordings, as the command `transcribe` writes them, while the audio is read. */
  transcribe(paths: string | readonly string[], options: TranscribeOptions = {}): AsyncGenerator<TranscriptLine> {
    this.checkOpen()
    return transcribeLines(this.opened, paths, options)
  }

  /** How likely the model takes sequences or texts to be, as the command `score` writes it. */
  score(inputs: Inputs, options: ScoreOptions = {}): AsyncGenerator<ScoredRow> {
    this.checkOpen()
    return scoreRows(this.opened, inputs, options)
  }

  /**
   * How likely the model takes the alleles of variants to be, of the VCF at a path or in memory, as the command `score --vcf` writes it: a
   * row for each alternate allele.
   */
  scoreVariants(variants: string | GivenVariants, options: ScoreVariantsOptions): AsyncGenerator<VariantRow> {
    this.checkOpen()
    return variantRows(this.opened, variants, options)
  }

  /** What the model writes behind a prompt, or behind each of several, as it comes, in the order of the prompts. */
  generate(prompts: string | GivenSequences | GivenTexts, options: GenerateOptions = {}): AsyncGenerator<GeneratedRow> {
    this.checkOpen()
    return generateRows(this.opened, prompts, options)
  }

  private checkOpen(): void {
    if (this.closed) throw closedError()
  }

  /** Frees the backend; the model is not used again. Closing it once more does nothing. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.network.backend.close()
  }
}
