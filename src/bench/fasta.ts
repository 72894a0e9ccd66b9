import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readRecords } from '../input/read.js'
import { exitCodes, UserError } from '../shell/errors.js'

/** One reader on one input. */
export interface FastaBenchRow {
  input: 'one long record, 60 columns' | 'reads of 150 bp'
  reader: 'longwave' | 'bionode-fasta'
  /** Best of the rounds; 10^6 bytes of FASTA. */
  megabytesPerSecond: number
  /** Against bionode-fasta on the same input. */
  ratio: number
}

export interface FastaBenchOptions {
  /** Size of each input. bionode-fasta holds several times a record in memory. */
  megabytes?: number
  rounds?: number
}

interface Input {
  name: FastaBenchRow['input']
  path: string
  bytes: number
  bases: number
}

/**
 * Reads the same made-up FASTA files with our reader (to cleaned codes) and with bionode-fasta (to objects), in turn, so
 * that both see the same machine. Errors: UserError 69 where bionode-fasta is not installed.
 */
export async function benchFasta({ megabytes = 50, rounds = 3 }: FastaBenchOptions = {}): Promise<FastaBenchRow[]> {
  const readers = { longwave: countBases, 'bionode-fasta': loadBionode() }
  const folder = await mkdtemp(join(tmpdir(), 'longwave-bench-'))
  try {
    const inputs = [await writeLong(folder, megabytes * 1e6), await writeReads(folder, megabytes * 1e6)]
    const rows: FastaBenchRow[] = []
    for (const { name, path, bytes, bases } of inputs) {
      const seconds = { longwave: Number.POSITIVE_INFINITY, 'bionode-fasta': Number.POSITIVE_INFINITY }
      for (let round = 0; round < rounds; round++) {
        for (const reader of ['longwave', 'bionode-fasta'] as const) {
          const start = performance.now()
          const found = await readers[reader](path)
          seconds[reader] = Math.min(seconds[reader], (performance.now() - start) / 1000)
          if (found !== bases) throw new Error(`${reader} read ${found} of ${bases} bases of ${name}`)
        }
      }
      for (const reader of ['longwave', 'bionode-fasta'] as const) {
        const megabytesPerSecond = bytes / 1e6 / seconds[reader]
        rows.push({ input: name, reader, megabytesPerSecond, ratio: seconds['bionode-fasta'] / seconds[reader] })
      }
    }
    return rows
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function countBases(path: string): Promise<number> {
  let bases = 0
  for await (const { pieces } of readRecords([path])) {
    for (const { start, end } of pieces) bases += end - start
  }
  return bases
}

/** Its object stream, which is how programs use it. */
function loadBionode(): (path: string) => Promise<number> {
  let fasta: { obj(path: string): NodeJS.ReadableStream }
  try {
    fasta = createRequire(import.meta.url)('bionode-fasta')
  } catch {
    throw new UserError(`bionode-fasta is not installed: npm install bionode-fasta`, exitCodes.unavailable)
  }
  return async (path) => {
    let bases = 0
    const stream = fasta.obj(path)
    stream.on('data', ({ seq }: { seq: string }) => {
      bases += seq.length
    })
    await once(stream, 'end')
    return bases
  }
}

/** Random bases, the same every time. */
function randomBases(length: number): string {
  let state = 1
  const letters = Buffer.alloc(length)
  for (let i = 0; i < letters.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    letters[i] = 'ACGT'.charCodeAt(state >>> 30)
  }
  return letters.toString('latin1')
}

async function write(path: string, lines: Iterable<string>): Promise<number> {
  const stream = createWriteStream(path)
  for (const line of lines) if (!stream.write(line)) await once(stream, 'drain')
  stream.end()
  await once(stream, 'close')
  return stream.bytesWritten
}

async function writeLong(folder: string, bytes: number): Promise<Input> {
  const path = join(folder, 'long.fa')
  const width = 60
  const block = (randomBases(960_000).match(/.{60}/g) ?? []).map((line) => `${line}\n`).join('')
  const blocks = Math.max(1, Math.round(bytes / block.length))
  const lines = ['>long\n', ...Array<string>(blocks).fill(block)]
  const bases = (blocks * block.length * width) / (width + 1)
  return { name: 'one long record, 60 columns', path, bytes: await write(path, lines), bases }
}

async function writeReads(folder: string, bytes: number): Promise<Input> {
  const path = join(folder, 'reads.fa')
  const sequence = randomBases(1_000_000)
  const length = 150
  const count = Math.round(bytes / 174)
  function* records() {
    for (let i = 0; i < count; i++) {
      const at = (i * 151) % (sequence.length - length)
      yield `>read_${i} length=${length}\n${sequence.slice(at, at + length)}\n`
    }
  }
  return { name: 'reads of 150 bp', path, bytes: await write(path, records()), bases: count * length }
}
