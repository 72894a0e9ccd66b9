import * as v from 'valibot'
import {
  mlpSchema,
  moeSchema,
  mostBlocks,
  multiplier,
  normSchema,
  rowsToOne,
  stemSchema,
  width,
} from '../layers/layer-schemas.js'
import { families } from '../layers/mixers/registry.js'
import type { HeadSpec, LogMelInput, MixerSpec, ModelSpec, TokensInput } from '../spec.js'
import {
  type Contradiction, checked, consistent, flag, inWords, kind, kinds, list, oneOf, positive, real, record, share, text, whole,
} from '../text/schema.js' // biome-ignore format: a list
import { logMelInput } from '../tokens/log-mel-schema.js'

/** A spec from a file, from the tensors of a public layout or from settings. `fail` makes the error from one line. */
export function checkSpec(spec: unknown, fail: (what: string) => Error): ModelSpec {
  if (typeof spec === 'object' && spec !== null && 'tokenizer' in spec)
    throw fail('spec.tokenizer is of a build before 0.1.0, expected spec.input in its place (see CHANGELOG.md)')
  return checked(specSchema, spec, 'spec.', fail)
}

export const poolSchema = oneOf('mean', 'max', 'last', 'center', 'flatten')

const name = text(1000)
const mostTokens = 2 ** 24

const languageSchema = record({
  order: whole(1, 16),
  weight: positive(1000),
  bonus: real(-1000, 1000),
  texts: list(text(1_000_000), { most: 10_000_000 }),
})

/** Beyond these scores would say next to nothing, or be all the same. */
export const temperatureBounds = [0.05, 20] as const

const classesHead = record({
  kind: kind('classes'),
  labels: list(name, { least: 1 }),
  pool: poolSchema,
  length: v.optional(whole(1)),
  temperature: v.optional(real(...temperatureBounds)),
  appended: v.optional(v.literal(true, 'true')),
})

const headSchema = kinds([
  record({ kind: kind('tokens'), tied: flag, multiplier: v.optional(multiplier) }),
  classesHead,
  record({ kind: kind('ctc'), vocabulary: list(name, { least: 2 }), language: v.optional(languageSchema) }),
  record({
    kind: kind('forecast'),
    quantiles: list(share, { least: 1, most: 1000 }),
    d_basis: whole(1, 1024),
    patch: whole(1, 65_536),
    context: whole(1),
  }),
])

const tokensInput = v.pipe(
  record({
    kind: kind('tokens'),
    tokenizer: oneOf('dna', 'caduceus', 'plantcaduceus', 'ids'),
    vocab_size: whole(1, mostTokens),
  }),
  consistent(function* ({ tokenizer, vocab_size }: TokensInput): Generator<Contradiction> {
    if (tokenizer === 'dna' && vocab_size !== 5) yield ['vocab_size', '5 for dna']
    if (tokenizer === 'caduceus' && vocab_size < 12) yield ['vocab_size', 'at least 12 for caduceus']
    if (tokenizer === 'plantcaduceus' && vocab_size < 7) yield ['vocab_size', 'at least 7 for plantcaduceus']
  }),
)

const inputSchema = kinds([tokensInput, logMelInput, record({ kind: kind('values') })])

/** Of any family; each has its schema. */
export const mixerSchema = kinds(families.map(({ schema }) => schema)) as v.GenericSchema<MixerSpec>

const blockSchema = record({
  mixer: mixerSchema,
  mlp: v.optional(mlpSchema),
  moe: v.optional(moeSchema),
  residual_multiplier: v.optional(multiplier),
})

const fields = record({
  input: inputSchema,
  d_embed: width,
  embedding_multiplier: v.optional(multiplier),
  stem: stemSchema,
  d_model: width,
  norm: v.nullable(normSchema),
  blocks: list(blockSchema, { most: mostBlocks }),
  head: v.nullable(headSchema),
  strand: oneOf('symmetric', 'stranded'),
  trained_length: v.optional(whole(1)),
  trained_shortest: v.optional(whole(1)),
  reverse_complement: v.optional(record({ complement: list(whole(0), { most: mostTokens }), fused: flag })),
  hidden_states: record({
    embedding: flag,
    blocks: oneOf('residual', 'mixer'),
    listed: whole(0, mostBlocks),
    final: flag,
  }),
})

/** Of `ModelSpec`. */
export const specSchema = v.pipe(fields, consistent(contradictions))

function* contradictions(spec: ModelSpec): Generator<Contradiction> {
  const { d_embed, d_model, stem, blocks, head, hidden_states } = spec
  const given = stem.at(-1)?.d_out ?? d_embed
  if (d_model !== given) yield ['d_model', `${given}, the width of the embedding or stem`]
  if (head) yield* ofHead(head, spec)
  if (spec.input.kind === 'log-mel') yield* ofAudio(spec.input, spec)
  if (spec.reverse_complement) yield* ofStrands(spec.reverse_complement, spec)
  if (hidden_states.listed > blocks.length) yield ['hidden_states.listed', `at most ${blocks.length}, the blocks`]
}

function* ofHead(head: HeadSpec, { d_embed, d_model, input }: ModelSpec): Generator<Contradiction> {
  if (head.kind === 'forecast' && input.kind !== 'values') yield ['head.kind', `not forecast for ${input.kind}`]
  if (head.kind === 'tokens') {
    if (input.kind !== 'tokens') yield ['head.kind', `classes or ctc for ${input.kind}`]
    if (head.tied && d_embed !== d_model) yield ['head.tied', 'false, since d_embed is not d_model']
  }
  if (head.kind === 'classes') {
    const { labels, pool, length } = head
    const seen = new Set<string>()
    const repeated = labels.find((label) => seen.size === seen.add(label).size)
    if (repeated !== undefined) yield ['head.labels', `each label once, not ${inWords(repeated)} twice`]
    if (pool === 'flatten' && length === undefined) yield ['head.length', 'how many bases a record has']
  }
}

/** Recordings are cut into windows of 30 s between rows: longer rows leave no place for a cut, and cutting would never end. */
const mostRowSeconds = 5

function* ofAudio({ n_mels, hop, sample_rate }: LogMelInput, { d_embed, stem }: ModelSpec): Generator<Contradiction> {
  if (d_embed !== n_mels) yield ['d_embed', `${n_mels}, n_mels`]
  const seconds = (hop * rowsToOne(stem)) / sample_rate
  if (seconds > mostRowSeconds) yield ['stem', `a row of at most ${mostRowSeconds} s of audio, not ${seconds} s`]
}

type ReverseComplement = NonNullable<ModelSpec['reverse_complement']>

function* ofStrands({ complement }: ReverseComplement, { input, stem, head }: ModelSpec): Generator<Contradiction> {
  if (input.kind !== 'tokens') return yield ['input.kind', 'tokens with reverse_complement']
  const { vocab_size: V } = input
  if (complement.length !== V || complement.some((id) => id >= V))
    yield ['reverse_complement.complement', `${V} ids below ${V}`]
  if (stem.length > 0) yield ['stem', 'none with reverse_complement']
  if (head && head.kind !== 'tokens' && head.kind !== 'classes')
    yield ['head.kind', 'tokens or classes with reverse_complement']
  if (head?.kind === 'classes' && head.pool !== 'mean' && head.pool !== 'max')
    yield ['head.pool', 'mean or max with reverse_complement']
}
