import { shareTargets, type Targets } from './targets.js'

/** Records side by side in memory that all workers share, each with its targets: codes of bases, or ids of tokens. */
export interface Packed<Codes extends Uint8Array | Int32Array> extends Targets {
  codes: Codes
  /** [records + 1] */
  offsets: Float64Array
}

/** One part and one list of targets for each record. `make`: room for so many codes. */
export function packed<Codes extends Uint8Array | Int32Array>(
  parts: readonly Codes[],
  targets: readonly ArrayLike<number>[],
  make: (length: number) => Codes,
): Packed<Codes> {
  const offsets = new Float64Array(new SharedArrayBuffer(8 * (parts.length + 1)))
  for (const [i, part] of parts.entries()) offsets[i + 1] = offsets[i] + part.length
  const codes = make(offsets[parts.length])
  for (const [i, part] of parts.entries()) codes.set(part, offsets[i])
  return { codes, offsets, ...shareTargets(targets) }
}
