import type { GivenSequences } from '../input/dna/given.js'
import type { GivenTexts } from '../input/lines/read.js'
import type { Cue } from '../output/subtitles.js'
import type { Joining } from './callers.js'
import type { Strand } from './dna/run.js'
import type { EmbedPool } from './embed.js'
import type { Finish } from './generate/continuation.js'

/** What the library's functions on records take and give (docs/library.md). */

/** A path, or several; also sequences in memory of a model that reads DNA, and texts of one that reads text. */
export type Inputs = string | readonly string[] | GivenSequences | GivenTexts

export interface RunOptions {
  /** `fail` (default): the first bad record or file throws. `skip`: it is reported and passed over. */
  onError?: 'fail' | 'skip'
  /** Takes warnings, a line each. */
  onWarning?: (line: string) => void
  /** Of recordings: which channel, from 1; where to begin and how much to read, in seconds. */
  channel?: number
  offset?: number
  duration?: number
}

export interface SpanOptions extends RunOptions {
  /** Bases, seconds of audio or tokens of text: each window is a sequence of its own, every `stride` (default: side by side). */
  window?: number
  stride?: number
  /** Of DNA; default: as the model says. */
  strand?: Strand
  /** Records of fewer or more bases are left out. */
  minLength?: number
  maxLength?: number
}

export interface ClassifyOptions extends SpanOptions, Joining {
  /** Below it the label is `unclassified`. */
  minScore?: number
  /** Of DNA: so is the label of what has a larger share of N; default 0.5. */
  maxN?: number
}

export interface EmbedOptions extends SpanOptions {
  /** Default mean; `none`: every row, a long record in several results. */
  pool?: EmbedPool
  /** One vector for every so many bases, or seconds, of a record that is read whole: the mean of its rows. */
  bin?: number
  /** A hidden state that the model lists; default: the last. */
  layer?: number
}

export interface TranscribeOptions extends RunOptions {
  /** Texts that the beam search keeps; 0: greedy. Default: 16 for a model with a language model, else 0. */
  beam?: number
}

export interface Place {
  /** Of the record; the path of a recording. */
  id: string
  /** 0-based, half-open: bases of the record, or seconds of the recording. */
  start: number
  end: number
}

export interface ClassifiedRow extends Place {
  label: string
  score: number
  /** Of every label, in the model's order. */
  probabilities: Map<string, number>
  /** How many windows it was made from, with `merge` or `perRecord`. */
  windows?: number
  /** With `perRecord`: the share of the windows in which a label is the best, and of DNA the share of N among the bases. */
  shares?: Map<string, number>
  nFraction?: number
}

export interface EmbeddedRow extends Place {
  /** [D]; with `pool: 'none'` or `bin` [rows, D]. */
  embedding: Float32Array
  /** The record has no more rows after these. */
  last: boolean
}

export interface TranscriptLine {
  path: string
  /** Seconds. */
  start: number
  end: number
  text: string
  words: Cue[]
}

export interface ScoreOptions extends SpanOptions {
  /** Gives what the model says of each base or token, too: of a long record they are held until it ends. */
  perToken?: boolean
}

export interface ScoredRow extends Place {
  /** Bases or tokens that were predicted. */
  tokens: number
  /** Nats; of both strands the mean. */
  logLikelihood: number
  /** Per predicted base or token; null where there is none. */
  bits: number | null
  perplexity: number | null
  /** With `perToken`: in the order of their places, of both strands one after the other. */
  each?: { position: number; strand: '+' | '-'; id: number; token: string; logProbability: number }[]
}

export interface ScoreVariantsOptions extends RunOptions {
  /** The path of the genome: FASTA, plain or bgzip, with its index. */
  reference: string
  /** Only variants there: `chr2`, `chr2:100-200`. */
  region?: string
  /** Bases around a variant; default: what the model was trained on, at most 1024. */
  window?: number
  /** Default: as the model says. */
  strand?: Strand
}

/** An alternate allele of a variant. The numbers are null where it is not scored. */
export interface VariantRow {
  chrom: string
  /** From 1: that of the first base of `ref`. */
  position: number
  id: string
  ref: string
  alt: string
  /** Nats, of the windows with `ref` and with `alt`; of both strands the mean. */
  refLogLikelihood: number | null
  altLogLikelihood: number | null
  /** That with `alt` less that with `ref`. */
  logLikelihoodRatio: number | null
  /** Euclidean, between the embeddings of the two windows. */
  embeddingDistance: number | null
}

export interface GenerateOptions {
  /** Default 128. */
  maxTokens?: number
  /** Default 0: always the most likely token. */
  temperature?: number
  topK?: number
  /** Default 1: all. */
  topP?: number
  /** Default 1: none. */
  repetitionPenalty?: number
  /** The text ends before the first of them. */
  stop?: string | readonly string[]
  /** Default 1. */
  seed?: number
}

/** A piece of what a model writes; the last one of a prompt says how it ended. */
export interface GeneratedRow {
  id: string
  text: string
  finish?: Finish
  tokens?: number
}
