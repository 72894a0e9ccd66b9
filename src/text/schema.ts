import * as v from 'valibot'
import { didYouMean } from './nearest.js'
import { printable, shortened } from './printable.js'

/**
 * What the schemas of configs and settings are made of, and the line about a value that does not keep one. The message
 * of a schema is what follows `expected` in that line. Numbers, texts and lists have bounds: a file may come from a
 * stranger.
 */

export const whole = (least: number, most = Number.MAX_SAFE_INTEGER) =>
  v.message(
    v.pipe(v.number(), v.safeInteger(), v.minValue(least), v.maxValue(most)),
    most === Number.MAX_SAFE_INTEGER ? `a whole number, ${least} or more` : `a whole number from ${least} to ${most}`,
  )

export const real = (least: number, most: number) =>
  v.message(v.pipe(v.number(), v.minValue(least), v.maxValue(most)), `a number from ${least} to ${most}`)

export const positive = (most: number) =>
  v.message(v.pipe(v.number(), v.gtValue(0), v.maxValue(most)), `a number above 0, at most ${most}`)

/** Of a whole; also a decay. Never all of it. */
export const share = v.message(v.pipe(v.number(), v.minValue(0), v.ltValue(1)), 'a number from 0 to below 1')

export const flag = v.boolean('true or false')

export const text = (longest: number) =>
  v.message(v.pipe(v.string(), v.maxLength(longest)), `a text of at most ${longest} characters`)

export const oneOf = <const W extends readonly string[]>(...words: W) =>
  v.picklist(words, words.length === 1 ? words[0] : `one of ${words.join(', ')}`)

/** What tells a record from the others of its `kinds`. */
export const kind = <const K extends string>(name: K) => v.literal(name, name)

export const list = <const S extends v.GenericSchema>(item: S, { least = 0, most = 65_536 } = {}) =>
  v.pipe(v.array(item, 'a list'), v.minLength(least, `at least ${least}`), v.maxLength(most, `at most ${most}`))

/** An object with these keys and no others. */
export const record = <const E extends v.ObjectEntries>(entries: E) => v.strictObject(entries, ofObject(entries))

/** An object with these keys; what else it has is passed over. */
export const openRecord = <const E extends v.ObjectEntries>(entries: E) => v.object(entries, ofObject(entries))

const ofObject =
  (entries: v.ObjectEntries) =>
  ({ expected, path }: v.StrictObjectIssue | v.ObjectIssue) => {
    const key = path?.at(-1)?.key as string | undefined
    if (key === undefined) return 'an object'
    // What a missing value would have to be.
    if (expected !== 'never') return v.safeParse(entries[key] as v.GenericSchema, undefined).issues?.[0].message ?? ''
    const known = Object.keys(entries)
    return `${didYouMean(key, known) || ';'} there are ${known.join(', ')}`
  }

/** One of several records, told by its `kind`. */
export const kinds = <const O extends v.VariantOptions<'kind'>>(options: O) =>
  v.variant('kind', options, ({ expected, path }) =>
    path === undefined ? 'an object' : (expected?.replace(/[("|)]+/g, '').replace(/ +/g, ', ') ?? ''),
  )

/** A field that does not go with others, by its path (`head.labels`), and what was expected of it. */
export type Contradiction = readonly [field: string, expected: string]

/** For a pipe after a record: what its fields must be for each other. The first contradiction counts. */
export const consistent = <T>(contradictions: (all: NoInfer<T>) => Iterable<Contradiction>) =>
  v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    for (const [field, expected] of contradictions(dataset.value)) {
      let value: unknown = dataset.value
      const path = field.split('.').map((key) => {
        const input = value as Record<string, unknown>
        value = input[key]
        return { type: 'object' as const, origin: 'value' as const, input, key, value }
      })
      return addIssue({ message: expected, path: path as [v.IssuePathItem, ...v.IssuePathItem[]] })
    }
  })

/**
 * The value as the schema gives it, with defaults. Errors: `fail` of the first thing that is wrong, in one line: its
 * place after `prefix`, what is there, and what was expected.
 */
export function checked<const S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  prefix: string,
  fail: (what: string) => Error,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true })
  if (result.success) return result.output
  const [{ type, expected, message, input, path = [] }] = result.issues
  const place = path.length === 0 ? prefix.replace(/\W$/, '') : prefix + placeOf(path)
  if (type === 'strict_object' && expected === 'never') throw fail(`${place} is not known${message}`)
  throw fail(`${place} is ${inWords(path.length === 0 ? input : path.at(-1)?.value)}, expected ${message}`)
}

/** `blocks[0].mixer.kind` */
function placeOf(path: readonly v.IssuePathItem[]): string {
  return path
    .map(({ key }) => (typeof key === 'number' ? `[${key}]` : `.${printable(shortened(String(key), 60))}`))
    .join('')
    .replace(/^\./, '')
}

/** A value in an error line, in few words however large it is or however deep it nests. */
export function inWords(value: unknown): string {
  if (value === undefined) return 'missing'
  if (typeof value === 'number') return `${value}` // JSON has no words for numbers that are not finite
  if (typeof value === 'string') return JSON.stringify(shortened(value, 60))
  if (!Array.isArray(value)) return typeof value === 'object' && value !== null ? 'an object' : `${value}`
  const short = value.length <= 8 && value.every((item) => typeof item !== 'object')
  return short ? `[${value.map(inWords).join(', ')}]` : `a list of ${value.length}`
}
