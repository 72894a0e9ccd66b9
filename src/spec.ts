/**
 * The normalised description of a model: what every checkpoint layout is translated into and all that the engine knows.
 * Types only. Shape letters: T token rows of a chunk, L length of a sequence, D d_model, E d_inner, N d_state, R dt_rank,
 * K conv width, V vocabulary.
 */

/** One mixer; what else it has, its family says (layers/mixers/). */
export interface MixerSpec {
  kind: string
}

export interface NormSpec {
  kind: 'rms' | 'layer'
  eps: number
}

/** fc2(y * silu(gate)) with [y, gate] = fc1(x), as in state-spaces GatedMLP. */
export interface MlpSpec {
  d_hidden: number
}

/** A mixture of `experts` gated MLPs, of which the router has `active` compute each row. */
export interface MoeSpec {
  experts: number
  active: number
  d_hidden: number
  /** What the softmax of the router is over: the `active` ones, or all experts before the others are dropped. */
  over: 'active' | 'all'
  /** Width of one more expert that computes all rows, which a sigmoid of each weighs; absent: there is none. */
  d_shared?: number
}

/** x + mixer(norm(x)), then x + mlp(norm2(x)) + moe(norm2(x)) with what there is of them. */
export interface BlockSpec {
  mixer: MixerSpec
  mlp?: MlpSpec
  moe?: MoeSpec
  /** What a block adds to x is multiplied by it. */
  residual_multiplier?: number
}

/** One strided convolution over token rows, then SiLU: each output row sees the `window` input rows that end with its own `stride` rows. */
export interface StemSpec {
  window: number
  stride: number
  d_out: number
  /** Absent: SiLU. */
  activation?: 'none'
}

/**
 * Log-mel features of mono audio (tokens/log-mel.ts): power spectra of Hann windows through triangles on the mel scale, in
 * decibels where a sine of amplitude 1 reads about 0, minus the level of the recording. One frame is `hop` samples.
 */
export interface LogMelSpec {
  /** Hz; recordings are resampled to it. */
  sample_rate: number
  /** Samples in the FFT: a power of two, at least `window`; the rest is zero. */
  n_fft: number
  /** Samples under the Hann window, centred on the hop of its frame. */
  window: number
  /** Samples from frame to frame. */
  hop: number
  n_mels: number
  /** Hz; the lowest band rises from f_min, the highest falls to f_max (at most half the sample rate). */
  f_min: number
  f_max: number
  /** x[n] - preemphasis x[n - 1] before the windows. */
  preemphasis?: number
  /** Seconds of silence added after a recording, so that a causal model, which answers a little late, can finish its last word. */
  tail?: number
  level: LevelSpec
}

/** The level against which log-mel features are measured (tokens/level.ts). */
export interface LevelSpec {
  /** Seconds after which a frame counts 1 / e. */
  memory: number
  /** Seconds that the level knows ahead: features come out this much later. */
  lookahead: number
  /** dB: the level is never taken to be lower than this, so that noise before the first word stays low. */
  quietest: number
  /** dB: energies further below the level all read as this far below it. */
  range: number
  /**
   * dB: each band is measured against its own level, but at most this far below the level of all; that takes out the colour of
   * microphone and room. Absent: all bands against the level of all, which keeps the spectrum's shape (for sounds).
   */
  equalise?: number
}

export type Pool = 'mean' | 'max' | 'last' | 'center' | 'flatten'

export type HeadSpec =
  /** Token logits [T, V], times `multiplier`; `tied`: the embedding matrix is the output matrix. */
  | { kind: 'tokens'; tied: boolean; multiplier?: number }
  /**
   * Class logits [records, labels]. `length` (bases) is required by the pooling `flatten`. Probabilities are the softmax of logits
   * divided by the `temperature` (1 if absent): fitted on records that were not learnt from, it makes scores honest and changes
   * no label (Guo et al. 2017, arXiv 1706.04599). `appended`: special tokens that the tokenizer appends are pooled too.
   */
  | { kind: 'classes'; labels: string[]; pool: Pool; length?: number; temperature?: number; appended?: true }
  /** Logits [T, V] of connectionist temporal classification (tasks/language/ctc-decode.ts): class 0 is the blank, class i writes vocabulary[i]. */
  | { kind: 'ctc'; vocabulary: string[]; language?: LanguageSpec }
  | ForecastHead

export type ClassesHead = Extract<HeadSpec, { kind: 'classes' }>

/**
 * Coefficients [T, quantiles x d_basis] of functions of time (tasks/forecast/decode.ts), one for each quantile, of the `patch` steps behind
 * each row (FlowState, arXiv 2508.05287).
 */
export interface ForecastHead {
  kind: 'forecast'
  quantiles: number[]
  d_basis: number
  patch: number
  /** Steps that the model was made to read. */
  context: number
}

/** What the texts of a language look like, for the beam search over what a CTC head says (tasks/language.ts). */
export interface LanguageSpec {
  /** Tokens of the longest n-gram. */
  order: number
  /** How much the language model counts against the acoustic score: a factor of its log probabilities, above 0. */
  weight: number
  /** Nats added for each token, since a language always prefers short texts. */
  bonus: number
  texts: string[]
}

/** An id to a row, looked up in an embedding [vocab_size, d_embed]. */
export interface TokensInput {
  kind: 'tokens'
  /** What ids are made from: bases; or (`ids`) text, by a tokenizer that lies beside the checkpoint, or the caller brings them. */
  tokenizer: 'dna' | 'caduceus' | 'plantcaduceus' | 'ids'
  vocab_size: number
}

/** A frame of audio to a row: its features, d_embed = n_mels of them. */
export interface LogMelInput extends LogMelSpec {
  kind: 'log-mel'
}

/** d_embed numbers to a row, which the caller brings. */
export interface ValuesInput {
  kind: 'values'
}

/** What one token row is made from. */
export type InputSpec = TokensInput | LogMelInput | ValuesInput

export interface ModelSpec {
  input: InputSpec
  /** Width of a row of the input; the stem (if any) leads from here to d_model. */
  d_embed: number
  /** Embeddings are multiplied by it. */
  embedding_multiplier?: number
  stem: StemSpec[]
  d_model: number
  /** Before each block and after the last one; null: none, mixers norm for themselves. */
  norm: NormSpec | null
  blocks: BlockSpec[]
  head: HeadSpec | null
  /** `symmetric`: the answer must not depend on the strand that was read. */
  strand: 'symmetric' | 'stranded'
  /** Longest record (bases) that the model saw in training, for a warning; absent if unknown. */
  trained_length?: number
  /** The shortest one: what is far shorter has no label. */
  trained_shortest?: number
  /**
   * Caduceus-PS, rewritten as a plain stack that is run on the ids and on their reverse complement; the outputs are
   * merged by layers/reverse-complement.ts. `complement` has one id for each id. `fused` (add and norm): the official code swaps
   * the halves of the channels at every block, so that both trade places after an odd number of blocks.
   */
  reverse_complement?: { complement: number[]; fused: boolean }
  /** What the layout's official code lists as hidden states. */
  hidden_states: {
    /** Lists the embeddings first. */
    embedding: boolean
    /** Per block: the residual stream after it, or the mixer output without the residual. */
    blocks: 'residual' | 'mixer'
    /** How many blocks are listed. */
    listed: number
    /** Lists the output of the final norm last. */
    final: boolean
  }
}
