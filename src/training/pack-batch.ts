import { type Input, joinInputs } from '../engine/chunk.js'

/** Inputs of whole records, packed, with the token rows at which each begins. `width`: numbers per token row. */
export function joined(parts: readonly Input[], width: number): { input: Input; offsets: Int32Array } {
  const offsets = new Int32Array(parts.length + 1)
  for (const [s, part] of parts.entries()) offsets[s + 1] = offsets[s] + part.length / width
  return { input: joinInputs(parts), offsets }
}
