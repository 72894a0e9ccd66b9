import { isLfsPointer, lfsPointer } from '../text/git-lfs.js'
import { audioFormat } from './audio/format.js'
import { FileProblem } from './problem.js'

/** Bytes from the start of a file that are enough to tell what it is. */
export const magicLength = 18

const isPrefix = (block: Uint8Array, prefix: readonly number[]) => prefix.every((byte, i) => block[i] === byte)
const bytesOf = (text: string) => [...Buffer.from(text, 'latin1')]

export const isGzip = (block: Uint8Array) => isPrefix(block, [0x1f, 0x8b])

/** bgzip writes gzip members with an extra field BC that holds their size (SAM specification, section 4.1). */
export const isBgzf = (block: Uint8Array) =>
  isPrefix(block, [0x1f, 0x8b, 8, 4]) && block[12] === 0x42 && block[13] === 0x43

/** What is recognised only to say so: name, first bytes, the command that makes it readable. */
const foreign: [string, number[], string][] = [
  ['bzip2 data', bytesOf('BZh'), 'bzip2 -dc FILE | longwave ... -'],
  ['xz data', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], 'xz -dc FILE | longwave ... -'],
  ['zstd data', [0x28, 0xb5, 0x2f, 0xfd], 'zstd -dc FILE | longwave ... -'],
  ['lz4 data', [0x04, 0x22, 0x4d, 0x18], 'lz4 -dc FILE | longwave ... -'],
  ['a zip archive', bytesOf('PK\x03\x04'), 'unzip -p FILE | longwave ... -'],
  ['a 7z archive', bytesOf('7z\xbc\xaf\x27\x1c'), '7z x -so FILE | longwave ... -'],
  ['data compressed twice (gzip inside)', [0x1f, 0x8b], 'gzip -dc FILE | longwave ... -'],
  ['BAM', bytesOf('BAM\x01'), 'samtools fasta FILE | longwave ... -'],
  ['CRAM', bytesOf('CRAM'), 'samtools fasta FILE | longwave ... -'],
  ['2bit', [0x43, 0x27, 0x41, 0x1a], 'twoBitToFa FILE stdout | longwave ... -'],
  ['2bit', [0x1a, 0x41, 0x27, 0x43], 'twoBitToFa FILE stdout | longwave ... -'],
  ['UTF-16 text', [0xff, 0xfe], 'iconv -f UTF-16 -t UTF-8 FILE | longwave ... -'],
  ['UTF-16 text', [0xfe, 0xff], 'iconv -f UTF-16 -t UTF-8 FILE | longwave ... -'],
]

/** The same for files that are lines of text. */
const foreignText: typeof foreign = [
  ['SAM', bytesOf('@HD\t'), 'samtools fasta FILE | longwave ... -'],
  ['SAM', bytesOf('@SQ\t'), 'samtools fasta FILE | longwave ... -'],
  ['GenBank', bytesOf('LOCUS   '), 'any2fasta FILE | longwave ... -'],
  ['EMBL', bytesOf('ID   '), 'any2fasta FILE | longwave ... -'],
  ['GFF', bytesOf('##gff-version'), 'bedtools getfasta -fi GENOME -bed FILE | longwave ... -'],
]

/** The name of such a format, or gzip. */
export const foreignName = (block: Uint8Array): string | undefined =>
  isGzip(block) ? 'gzip data' : [...foreign, ...foreignText].find(([, magic]) => isPrefix(block, magic))?.[0]

const dna = 'FASTA, FASTQ or JSON lines'

/**
 * Throws (FileProblem) what a known format that is not read here needs. `expected`: what is; where that is not DNA, any
 * lines of text may be.
 */
export function refuseForeign(file: string, block: Uint8Array, expected = dna) {
  if (isLfsPointer(block)) throw new FileProblem(lfsPointer)
  for (const [name, magic, command] of expected === dna ? [...foreign, ...foreignText] : foreign) {
    if (!isPrefix(block, magic)) continue
    const cure = command.replace('FILE', file)
    throw new FileProblem(`${name}, expected ${expected}, plain or gzip; convert it: ${cure}`)
  }
  const audio = audioFormat(block)
  if (audio === undefined) return
  const name = audio === 'wav' ? 'WAV' : audio
  throw new FileProblem(`${name}, expected ${expected}; audio needs a model that reads it (models list)`)
}
