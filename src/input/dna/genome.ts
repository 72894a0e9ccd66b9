import { open } from 'node:fs/promises'
import { BgzipIndexedFasta, IndexedFasta } from '@gmod/indexedfasta'
import { exitCodes, UserError } from '../../errors.js'
import { reason } from '../../runtime/file-bytes.js'
import { isBgzf, isGzip, magicLength } from '../format.js'
import { letterCodes } from './letters.js'

/** Bases from one place where reading begins to the next; two such stretches are read at a time, for the places that follow. */
const stretch = 1 << 17

/** A FASTA file with its index, of which any part is read. */
export class Genome {
  /** The bases that were read last. */
  private block: { name: string; start: number; letters: Buffer } = { name: '', start: 0, letters: Buffer.alloc(0) }

  private constructor(
    readonly path: string,
    private readonly fasta: IndexedFasta,
    private readonly lengths: ReadonlyMap<string, number>,
  ) {}

  /** Plain or bgzip, with .fai (and .gzi) beside it. Errors: 65, 66. */
  static async open(path: string): Promise<Genome> {
    const head = await headOf(path)
    if (isGzip(head) && !isBgzf(head)) {
      const cure = `of which no part can be read alone; gzip -dc ${path} | bgzip > NEW.fa.gz; samtools faidx NEW.fa.gz`
      throw new UserError(`${path}: gzip, but not bgzip, ${cure}`, exitCodes.data)
    }
    const indexes = isBgzf(head) ? [`${path}.fai`, `${path}.gzi`] : [`${path}.fai`]
    for (const index of indexes) await headOf(index, `; samtools faidx ${path} makes it`)
    const fasta = isBgzf(head) ? new BgzipIndexedFasta({ path, gziPath: indexes[1] }) : new IndexedFasta({ path })
    const lengths = new Map<string, number>()
    try {
      for (const name of await fasta.getSequenceNames()) lengths.set(name, (await fasta.getSequenceSize(name))!)
    } catch (error) {
      throw unfit(path, (error as Error).message)
    }
    const bad = [...lengths].find(([, length]) => !Number.isSafeInteger(length))
    if (bad) throw unfit(path, `no length for ${bad[0]}`)
    return new Genome(path, fasta, lengths)
  }

  /** Bases of a sequence; undefined: it has none of that name. */
  lengthOf(name: string): number | undefined {
    return this.lengths.get(name)
  }

  /** The one that is named first, for messages. */
  get firstName(): string | undefined {
    return this.lengths.keys().next().value
  }

  /** Letters of a part of a sequence, as they stand in the file. Errors: 65 where it does not fit its index. */
  async letters(name: string, start: number, end: number): Promise<Buffer> {
    const { block } = this
    if (block.name !== name || start < block.start || end > block.start + block.letters.length) {
      const from = start - (start % stretch)
      this.block = { name, start: from, letters: await this.read(name, from, Math.max(end, from + 2 * stretch)) }
    }
    return this.block.letters.subarray(start - this.block.start, end - this.block.start)
  }

  private async read(name: string, start: number, most: number): Promise<Buffer> {
    const end = Math.min(most, this.lengths.get(name)!)
    const text = await this.fasta.getSequence(name, start, end).catch((error) => {
      throw unfit(this.path, (error as Error).message)
    })
    const letters = Buffer.from(text!, 'latin1')
    const place = `${name}:${start + 1}-${end}`
    if (letters.length !== end - start) throw unfit(this.path, `${letters.length} bases at ${place}`)
    if (letters.some((letter) => letterCodes[letter] > 4))
      throw unfit(this.path, `something that is no base at ${place}`)
    return letters
  }
}

const unfit = (path: string, what: string) =>
  new UserError(`${path}: does not fit its index (${what}); samtools faidx ${path} makes it anew`, exitCodes.data)

/** The first bytes of a file. Errors: 66. */
async function headOf(path: string, cure = ''): Promise<Buffer> {
  const handle = await open(path).catch((error) => {
    throw new UserError(`${path}: ${reason(error)}${cure}`, exitCodes.noInput)
  })
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(magicLength))
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    throw new UserError(`${path}: ${reason(error)}`, exitCodes.noInput)
  } finally {
    await handle.close()
  }
}
