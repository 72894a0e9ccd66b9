import type * as v from 'valibot'
import { checked } from '../text/schema.js'
import { broken, readText } from './files.js'
import { parseObject } from './json.js'

/** A checkpoint's config.json. */
export class Config {
  constructor(
    readonly path: string,
    readonly values: Readonly<Record<string, unknown>>,
  ) {}

  /** Errors: 69 when it is missing or is not a JSON object. */
  static async read(path: string): Promise<Config> {
    return new Config(path, parseObject(path, await readText(path)))
  }

  /** What it says as a schema has it; keys that an open schema does not name are passed over. Errors: 69, one line with file and key. */
  as<const S extends v.GenericSchema>(schema: S): v.InferOutput<S> {
    return checked(schema, this.values, '', (what) => broken(this.path, what))
  }
}
