import { exitCodes, UserError } from '../errors.js'
import type { Output } from './output.js'

/** A file whose first bytes can be written last, and whose readers may jump. */
export type PlainOutput = Output & { readonly patch: NonNullable<Output['patch']> }

/** For a binary format, named by its suffix. Errors: usage (2) for standard output, pipes, devices and .gz. */
export async function plainFile(output: Output, suffix: string): Promise<PlainOutput> {
  if (isPlain(output)) return output
  const name = output.name === '-' ? 'standard output' : output.name
  await output.abort()
  throw new UserError(
    `${name}: .${suffix} needs a plain file (-o FILE.${suffix}); --format jsonl can be piped or compressed`,
    exitCodes.usage,
  )
}

const isPlain = (output: Output): output is PlainOutput => output.patch !== null
