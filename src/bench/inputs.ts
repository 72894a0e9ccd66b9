import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { forgetTemporary, rememberTemporary } from '../output/temporary.js'

/** A made-up FASTA file. */
export interface Input {
  path: string
  bytes: number
  bases: number
}

/** A folder for the files of a benchmark, removed on every way out. */
export async function inFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'longwave-bench-'))
  rememberTemporary(folder)
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
    forgetTemporary(folder)
  }
}

/** Random bases, the same every time. */
export function randomBases(length: number): string {
  let state = 1
  const letters = Buffer.alloc(length)
  for (let i = 0; i < letters.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    letters[i] = 'ACGT'.charCodeAt(state >>> 30)
  }
  return letters.toString('latin1')
}

/** One record of `bases` bases, rounded up to whole lines of 60. */
export async function writeLong(path: string, bases: number): Promise<Input> {
  const width = 60
  const count = Math.ceil(bases / width)
  const block = randomBases(width * Math.min(16_000, count)).match(/.{60}/g) ?? []
  function* lines() {
    yield '>long\n'
    for (let left = count; left > 0; left -= block.length) yield `${block.slice(0, left).join('\n')}\n`
  }
  return { path, bytes: await write(path, lines()), bases: count * width }
}

/** `count` records of `length` bases, one line each. */
export async function writeReads(path: string, count: number, length: number): Promise<Input> {
  const sequence = randomBases(1_000_000 + length)
  function* records() {
    for (let i = 0; i < count; i++) {
      const at = (i * (length + 1)) % 1_000_000
      yield `>read_${i} length=${length}\n${sequence.slice(at, at + length)}\n`
    }
  }
  return { path, bytes: await write(path, records()), bases: count * length }
}

async function write(path: string, lines: Iterable<string>): Promise<number> {
  const stream = createWriteStream(path)
  for (const line of lines) if (!stream.write(line)) await once(stream, 'drain')
  stream.end()
  await once(stream, 'close')
  return stream.bytesWritten
}
