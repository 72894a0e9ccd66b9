import { readFile } from 'node:fs/promises'
import { broken } from './safetensors.js'

/** A checkpoint's config.json with typed look-ups; error lines name the file and the key. */
export class Config {
  constructor(
    readonly path: string,
    readonly values: Readonly<Record<string, unknown>>,
  ) {}

  /** Errors: 69 when it is missing or is not a JSON object. Python's literals `Infinity` and `NaN` are accepted. */
  static async read(path: string): Promise<Config> {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw broken(path, error.code === 'ENOENT' ? 'no such file' : error.message)
    })
    let values: unknown
    try {
      values = JSON.parse(withoutPythonLiterals(text))
    } catch (error) {
      throw broken(path, `not JSON: ${(error as Error).message}`)
    }
    if (typeof values !== 'object' || values === null || Array.isArray(values)) throw broken(path, 'not a JSON object')
    return new Config(path, values as Record<string, unknown>)
  }

  /** The object under `key`, empty when it is absent. */
  section(key: string): Config {
    const value = this.values[key] ?? {}
    if (typeof value !== 'object' || Array.isArray(value)) throw this.wrong(key, 'an object')
    return new Config(this.path, value as Record<string, unknown>)
  }

  number(key: string, fallback: number): number {
    const value = this.values[key] ?? fallback
    if (typeof value !== 'number') throw this.wrong(key, 'a number')
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
    return broken(this.path, `${key} is ${JSON.stringify(this.values[key])}, expected ${expected}`)
  }
}

/** Python writes Infinity and NaN bare, which JSON has no words for; 1e999 reads as Infinity, NaN as null. */
function withoutPythonLiterals(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|\bInfinity\b|\bNaN\b/g, (token) => {
    if (token === 'Infinity') return '1e999'
    return token === 'NaN' ? 'null' : token
  })
}
