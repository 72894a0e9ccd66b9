import { readFile } from 'node:fs/promises'
import { broken } from './safetensors.js'

/** A checkpoint's config.json with typed look-ups; error lines name the file and the key. */
export class Config {
  constructor(
    readonly path: string,
    readonly values: Readonly<Record<string, unknown>>,
    /** Keys whose value the file gives as NaN; it is null here. */
    private readonly notNumbers: ReadonlySet<string> = new Set(),
  ) {}

  /** Errors: 69 when it is missing or is not a JSON object. Python's literals `Infinity` and `NaN` are accepted. */
  static async read(path: string): Promise<Config> {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw broken(path, error.code === 'ENOENT' ? 'no such file' : error.message)
    })
    let values: unknown
    const notNumbers = new Set<string>()
    try {
      values = JSON.parse(withoutPythonLiterals(text), (key, value) => {
        if (value !== nan) return value
        notNumbers.add(key)
        return null
      })
    } catch (error) {
      throw broken(path, `not JSON: ${(error as Error).message}`)
    }
    if (typeof values !== 'object' || values === null || Array.isArray(values)) throw broken(path, 'not a JSON object')
    return new Config(path, values as Record<string, unknown>, notNumbers)
  }

  /** The object under `key`, empty when it is absent. */
  section(key: string): Config {
    const value = this.values[key] ?? {}
    if (typeof value !== 'object' || Array.isArray(value)) throw this.wrong(key, 'an object')
    return new Config(this.path, value as Record<string, unknown>, this.notNumbers)
  }

  number(key: string, fallback: number): number {
    const value = this.notNumbers.has(key) ? Number.NaN : (this.values[key] ?? fallback)
    if (typeof value !== 'number') throw this.wrong(key, 'a number')
    if (!Number.isFinite(value)) throw this.wrong(key, 'a finite number')
    return value
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.values[key] ?? fallback
    if (typeof value !== 'boolean') throw this.wrong(key, 'true or false')
    return value
  }

  text(key: string, fallback: string): string {
    const value = this.values[key] ?? fallback
    if (typeof value !== 'string') throw this.wrong(key, 'a string')
    return value
  }

  list(key: string): unknown[] {
    const value = this.values[key] ?? []
    if (!Array.isArray(value)) throw this.wrong(key, 'a list')
    return value
  }

  wrong(key: string, expected: string): Error {
    const value = this.notNumbers.has(key) ? Number.NaN : this.values[key]
    return broken(this.path, `${key} is ${inWords(value)}, expected ${expected}`)
  }
}

/** A value of a config in an error line; JSON has no words for numbers that are not finite. */
export const inWords = (value: unknown): string =>
  typeof value === 'number' ? `${value}` : (JSON.stringify(value) ?? 'missing')

/** No text of a config is this. */
const nan = '\0NaN'

/** Python writes Infinity and NaN bare, which JSON has no words for; 1e999 reads as Infinity. */
function withoutPythonLiterals(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|\bInfinity\b|\bNaN\b/g, (token) => {
    if (token === 'Infinity') return '1e999'
    return token === 'NaN' ? JSON.stringify(nan) : token
  })
}
