import type { ModelSpec } from '../spec.js'
import { logMelProblem } from '../tokens/mel-energies.js'
import { inWords } from './config.js'

/** A rule says what it expects of a value, or nothing when the value keeps it. */
type Rule = (value: unknown, path: string) => string | undefined

const expected =
  (what: string, test: (value: unknown) => boolean): Rule =>
  (value, path) =>
    test(value) ? undefined : `${path} is ${inWords(value)}, expected ${what}`

const count = expected('a whole number above 0', (n) => Number.isSafeInteger(n) && (n as number) > 0)
const natural = expected('a whole number', (n) => Number.isSafeInteger(n) && (n as number) >= 0)
const positive = expected('a number above 0', (n) => Number.isFinite(n) && (n as number) > 0)
const number = expected('a number', Number.isFinite)
const flag = expected('true or false', (b) => typeof b === 'boolean')
const text = expected('a string', (s) => typeof s === 'string')
const oneOf = (...words: string[]) => expected(words.join(', '), (w) => typeof w === 'string' && words.includes(w))

const optional =
  (rule: Rule): Rule =>
  (value, path) =>
    value === undefined ? undefined : rule(value, path)

const list =
  (rule: Rule): Rule =>
  (value, path) => {
    if (!Array.isArray(value)) return `${path} is ${inWords(value)}, expected a list`
    for (const [i, item] of value.entries()) {
      const wrong = rule(item, `${path}[${i}]`)
      if (wrong) return wrong
    }
  }

const record =
  (rules: Record<string, Rule>): Rule =>
  (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return `${path} is ${inWords(value)}, expected an object`
    }
    for (const [key, rule] of Object.entries(rules)) {
      const wrong = rule((value as Record<string, unknown>)[key], `${path}.${key}`)
      if (wrong) return wrong
    }
    const unknown = Object.keys(value).find((key) => !Object.hasOwn(rules, key))
    if (unknown !== undefined) return `${path}.${unknown} is not known`
  }

/** Records that tell their kind. */
const kinds =
  (rules: Record<string, Rule>): Rule =>
  (value, path) => {
    const kind = (value as { kind?: unknown } | null)?.kind
    return oneOf(...Object.keys(rules))(kind, `${path}.kind`) ?? rules[kind as string](value, path)
  }

const mamba = record({
  kind: oneOf('mamba'), d_inner: count, d_state: count, dt_rank: count, d_conv: count, bcdt_norm_eps: optional(positive),
}) // biome-ignore format: a list

const mixer = kinds({
  mamba,
  bidirectional: record({ kind: text, mamba, combine: oneOf('add', 'multiply'), tied: flag }),
})

const head = kinds({
  tokens: record({ kind: text, tied: flag }),
  classes: record({
    kind: text,
    labels: list(text),
    pool: oneOf('mean', 'max', 'last', 'center', 'flatten'),
    length: optional(count),
  }),
  ctc: record({
    kind: text,
    vocabulary: list(text),
    language: optional(record({ order: count, weight: positive, bonus: number, texts: list(text) })),
  }),
})

const logMel = record({
  sample_rate: count,
  n_fft: count,
  window: count,
  hop: count,
  n_mels: count,
  f_min: number,
  f_max: positive,
  preemphasis: optional(number),
  tail: optional(number),
  level: record({
    memory: positive,
    lookahead: number,
    quietest: number,
    range: positive,
    equalise: optional(positive),
  }),
})

const spec = record({
  tokenizer: oneOf('dna', 'caduceus', 'ids', 'log-mel'),
  log_mel: optional(logMel),
  vocab_size: natural,
  d_embed: count,
  stem: list(record({ window: count, stride: count, d_out: count })),
  d_model: count,
  norm: record({ kind: oneOf('rms', 'layer'), eps: positive }),
  blocks: list(record({ mixer, mlp: optional(record({ d_hidden: count })) })),
  head: (value, path) => (value === null ? undefined : head(value, path)),
  strand: oneOf('symmetric', 'stranded'),
  trained_length: optional(count),
  reverse_complement: optional(record({ complement: list(natural), fused: flag })),
  hidden_states: record({ embedding: flag, blocks: oneOf('residual', 'mixer'), listed: natural, final: flag }),
})

/** A spec that was read from a file. `fail` makes the error from one line that says what is wrong. */
export function checkSpec(value: unknown, fail: (what: string) => Error): ModelSpec {
  const wrong = spec(value, 'spec') ?? contradiction(value as ModelSpec)
  if (wrong) throw fail(wrong)
  return value as ModelSpec
}

/** Recordings are cut into windows of 30 s between rows: longer rows leave no place for a cut, and cutting would never end. */
const mostRowSeconds = 5

function contradiction({ d_embed, d_model, vocab_size, stem, blocks, head, reverse_complement, ...rest }: ModelSpec) {
  const width = stem.at(-1)?.d_out ?? d_embed
  if (width !== d_model) return `spec.d_model is ${d_model}, expected ${width}, the width of the embedding or stem`
  const narrow = stem.findIndex(({ window, stride }) => window < stride)
  if (narrow >= 0) return `spec.stem[${narrow}].window is below its stride`
  if (head?.kind === 'classes' && head.labels.length === 0) return 'spec.head.labels is empty'
  const twice = head?.kind === 'classes' && head.labels.find((label, i) => head.labels.indexOf(label) !== i)
  if (typeof twice === 'string') return `spec.head.labels: ${JSON.stringify(twice)} appears twice`
  if (head?.kind === 'classes' && head.pool === 'flatten' && !head.length) return 'spec.head.length is missing'
  if (head?.kind === 'tokens' && head.tied && d_embed !== d_model) return 'spec.head.tied needs d_embed = d_model'
  if (head?.kind === 'ctc' && head.vocabulary.length < 2) return 'spec.head.vocabulary: expected a blank and more'
  const audio = rest.tokenizer === 'log-mel'
  if (audio !== (rest.log_mel !== undefined)) return `spec.log_mel: expected with tokenizer log-mel, and only there`
  if (audio && rest.log_mel!.n_mels !== d_embed)
    return `spec.d_embed is ${d_embed}, expected ${rest.log_mel!.n_mels}, n_mels`
  const problem = rest.log_mel && logMelProblem(rest.log_mel)
  if (problem) return `spec.${problem}`
  const rowSeconds = rest.log_mel
    ? stem.reduce((hop, { stride }) => hop * stride, rest.log_mel.hop) / rest.log_mel.sample_rate
    : 0
  if (rowSeconds > mostRowSeconds)
    return `spec: a row stands for ${rowSeconds} s of audio, expected at most ${mostRowSeconds}`
  if (audio !== (vocab_size === 0))
    return `spec.vocab_size is ${vocab_size}, expected ${audio ? '0 for log-mel' : 'above 0'}`
  if (rest.tokenizer === 'dna' && vocab_size !== 5) return `spec.vocab_size is ${vocab_size}, expected 5 for dna`
  if (rest.hidden_states.listed > blocks.length) return 'spec.hidden_states.listed is beyond the blocks'
  const map = reverse_complement?.complement
  if (map && (map.length !== vocab_size || map.some((id) => id >= vocab_size))) {
    return `spec.reverse_complement.complement: expected ${vocab_size} ids below ${vocab_size}`
  }
  return undefined
}
