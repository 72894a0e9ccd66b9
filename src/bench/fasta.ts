import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { exitCodes, UserError } from '../errors.js'
import { readRecords } from '../input/dna/read.js'
import { inFolder, writeLong, writeReads } from './inputs.js'
import { interleaved, median } from './rounds.js'

/** One reader on one input. */
export interface FastaBenchRow {
  input: 'one long record, 60 columns' | 'reads of 150 bp'
  reader: Reader
  /** 10^6 bytes of FASTA per second. */
  mb_per_second: number
  /** Against bionode-fasta on the same input. */
  ratio: number
}

type Reader = 'longwave' | 'bionode-fasta'

export interface FastaBenchOptions {
  /** Size of each input. bionode-fasta holds several times a record in memory. */
  megabytes: number
  rounds: number
  onRound?: (done: number) => void
}

/**
 * Reads the same made-up FASTA files with our reader (to cleaned codes) and with bionode-fasta (to objects), in turn.
 * Errors: UserError 69 where bionode-fasta is not installed.
 */
export async function benchFasta({ megabytes, rounds, onRound }: FastaBenchOptions): Promise<FastaBenchRow[]> {
  const readers: [Reader, (path: string) => Promise<number>][] = [
    ['longwave', countBases],
    ['bionode-fasta', loadBionode()],
  ]
  return inFolder(async (folder) => {
    const inputs = [
      ['one long record, 60 columns', await writeLong(join(folder, 'long.fa'), megabytes * 1e6 * (60 / 61))],
      ['reads of 150 bp', await writeReads(join(folder, 'reads.fa'), Math.round((megabytes * 1e6) / 174), 150)],
    ] as const
    const cases = inputs.flatMap(([input, { path, bases }]) =>
      readers.map(([reader, read]) => async () => {
        const start = performance.now()
        const found = await read(path)
        if (found !== bases) throw new Error(`${reader} read ${found} of ${bases} bases of ${input}`)
        return (performance.now() - start) / 1000
      }),
    )
    const seconds = (await interleaved(cases, rounds, onRound)).map(median)
    return inputs.flatMap(([input, { bytes }], i) => {
      const theirs = seconds[2 * i + 1]
      return readers.map(([reader], r) => {
        const own = seconds[2 * i + r]
        return { input, reader, mb_per_second: bytes / 1e6 / own, ratio: theirs / own }
      })
    })
  })
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
