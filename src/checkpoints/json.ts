import { broken } from './files.js'

/**
 * The object that a file of a checkpoint holds as JSON. Python's bare `Infinity` and `NaN` are accepted, and `{"__float__": "Infinity"}` of
 * transformers 5; NaN, which no value may be, is the text "NaN" here. `names`: what the keys of the object are, for messages. Errors: 69, also for a key that comes twice, of
 * which JSON.parse keeps the last in silence, and for what nests deeper than any config.
 */
export function parseObject(path: string, json: string, names = 'key'): Record<string, unknown> {
  const { plain, keys } = scan(path, json)
  let value: unknown
  try {
    value = JSON.parse(plain, (_, each) => special(each))
  } catch (error) {
    throw broken(path, `not JSON: ${(error as Error).message}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw broken(path, 'not a JSON object')
  const seen = new Set<string>()
  for (const key of keys.map((text) => JSON.parse(text) as string)) {
    if (seen.has(key)) throw broken(path, `${names} ${key} appears twice`)
    seen.add(key)
  }
  return value as Record<string, unknown>
}

/** Configs and headers nest by 6 at most. Each level costs whoever reads it memory, and stack where it is written again. */
const mostDepth = 64

/** Python's words, which JSON has not: 1e999 reads as Infinity. */
const literals = { Infinity: '1e999', NaN: '"NaN"' }

/** The number that stands as an object of one key, or the value as it is. */
function special(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('__float__' in value)) return value
  const { __float__: name } = value
  if (name === 'Infinity') return Number.POSITIVE_INFINITY
  return name === '-Infinity' ? Number.NEGATIVE_INFINITY : name
}

/** JSON without literals of Python, and the keys of its outermost object as they are written. A loop: expressions that match strings recurse. */
function scan(path: string, json: string): { plain: string; keys: string[] } {
  const keys: string[] = []
  const pieces: string[] = []
  let [depth, done, string] = [0, 0, '']
  for (let i = 0; i < json.length; i++) {
    switch (json[i]) {
      case '"': {
        const from = i
        while (++i < json.length && json[i] !== '"') if (json[i] === '\\') i++
        if (depth === 1) string = json.slice(from, i + 1)
        break
      }
      case ':':
        if (depth === 1) keys.push(string)
        break
      case '{':
      case '[':
        if (++depth > mostDepth) throw broken(path, `nests deeper than ${mostDepth} levels at character ${i}`)
        break
      case '}':
      case ']':
        depth--
        break
      case 'I':
      case 'N':
        for (const [literal, words] of Object.entries(literals)) {
          if (!json.startsWith(literal, i)) continue
          pieces.push(json.slice(done, i), words)
          done = i + literal.length
        }
    }
  }
  return { plain: pieces.join('') + json.slice(done), keys }
}
