import * as fc from 'fast-check'
import { expect } from 'vitest'
import { UserError } from '../src/errors.js'

/** Failures print the seed and the shrunken example; with the seed here they come again. */
export const seed = Number(process.env.LONGWAVE_FUZZ_SEED ?? 20_260_301)

/** How many examples, more by LONGWAVE_FUZZ_FACTOR. */
export const runs = (count: number) => ({ seed, numRuns: count * Number(process.env.LONGWAVE_FUZZ_FACTOR ?? 1) })

const longest = { seconds: 5, characters: 900, bytes: 600e6 }

/** A file of a stranger is read, or is one line with this exit code; either in bounded time and memory. */
export async function readOrRefused(exitCode: number, read: () => Promise<unknown>): Promise<void> {
  const [start, before] = [performance.now(), process.memoryUsage().rss]
  try {
    await read()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    expect(error.exitCode).toBe(exitCode)
    expect(error.message).not.toMatch(/\p{Cc}/u)
    expect(error.message.length).toBeLessThan(longest.characters)
  }
  expect((performance.now() - start) / 1000).toBeLessThan(longest.seconds)
  expect(process.memoryUsage().rss - before).toBeLessThan(longest.bytes)
}

const numbers = [
  '0', '-0', '-1', '1', '2', '3', '0.5', '65536', '65537', '1e6', '2147483648', '4294967296', '6442450944', '8589934592',
  '9007199254740993', '1e9', '1e308', '1e999', '5e-324', '-1e308', 'Infinity', '-Infinity', 'NaN',
] // biome-ignore format: a list

const others = [
  'null', 'true', '""', '"7"', '"\\n\\u001b[31m"', '"\\ud800"', '[]', '{}', '[0]', '[null]', '{"kind":"mamba"}', '{"__proto__":{"kind":1}}',
  '{"toString":1,"valueOf":2}', '"mamba"', '"constructor"', '[[[[]]]]',
] // biome-ignore format: a list

/** JSON text of values that a config should not have, or may have elsewhere. The long ones are rare. */
export const hostileJson = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...numbers) },
  { weight: 10, arbitrary: fc.constantFrom(...others) },
  { weight: 5, arbitrary: fc.json() },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '['.repeat(100_000) + ']'.repeat(100_000),
      `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
      JSON.stringify('\\"'.repeat(1_000_000)),
      JSON.stringify('x'.repeat(10_000_000)),
      `[${'0,'.repeat(300_000)}0]`,
      `[${'"a",'.repeat(100_000)}"a"]`,
      `[${'{"window":1,"stride":1,"d_out":1},'.repeat(100_000)}0]`,
    ),
  },
)

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** A hole in a JSON text, to be filled with a text. */
const hole = '\u0000hole'

/** JSON text of `value` with one part of it, the nth of all, replaced, left out, or given a companion. */
export function mutated(value: Json, nth: number, how: 'replace' | 'remove' | 'add', json: string): string {
  const copy = structuredClone(value)
  const places: { of: Record<string, Json>; key: string }[] = []
  const walk = (of: Json) => {
    if (typeof of !== 'object' || of === null) return
    for (const key of Object.keys(of)) {
      places.push({ of: of as Record<string, Json>, key })
      walk((of as Record<string, Json>)[key])
    }
  }
  walk(copy)
  const { of, key } = places[nth % places.length]
  if (how === 'replace') of[key] = hole
  else if (how === 'remove') delete of[key]
  else of[Array.isArray(of) ? String(of.length) : `${key}_`] = hole
  return JSON.stringify(copy).replace(JSON.stringify(hole), () => json)
}

/** Bytes with some of them changed, then cut off or not. */
export const damage = (length: number) =>
  fc.record({
    changes: fc.array(fc.tuple(fc.nat(length - 1), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 127, 128, 255))), {
      maxLength: 8,
    }),
    kept: fc.oneof({ weight: 4, arbitrary: fc.constant(Number.POSITIVE_INFINITY) }, fc.nat(length)),
  })

export function damaged(
  bytes: Uint8Array,
  { changes, kept }: { changes: [at: number, byte: number][]; kept: number },
): Uint8Array {
  const copy = Uint8Array.from(bytes.subarray(0, kept))
  for (const [at, byte] of changes) if (at < copy.length) copy[at] = byte
  return copy
}
