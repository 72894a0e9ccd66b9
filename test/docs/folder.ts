import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { packageRoot } from '../../src/runtime/package-root.js'

const fixture = (name: string) => join(packageRoot, 'fixtures', name)

/** Labels of fixtures/fragments.fa, as the model origin calls them. */
const organisms = { human: 'human', c: 'worm', yeast: 'yeast', akkermansia: 'bacteria', phage: 'phage', ebola: 'virus' }

interface Labelled {
  fasta: string
  labelOf(id: string): string
}

const fragments: Labelled = {
  fasta: readFileSync(fixture('fragments.fa'), 'utf8'),
  labelOf: (id) => organisms[id.split('_')[0].split(':')[0] as keyof typeof organisms],
}

/** The cards of two models train on other records. */
const recordsOf: Record<string, Labelled> = {
  'models/promoter/README.md': { fasta: readFileSync(fixture('promoters.fa'), 'utf8'), labelOf: withoutNumber },
  'models/splice/README.md': { fasta: readFileSync(fixture('splice.fa'), 'utf8'), labelOf: withoutNumber },
}

function withoutNumber(id: string): string {
  return id.replace(/_\d+$/, '')
}

/**
 * Fills an empty folder with everything that the documents name: records, recordings, tables, settings, models, and
 * `bin/` and `fixtures/` of the package. All of it is small, and what a document trains is not there yet. `films` is a
 * folder of the recordings that ffmpeg made.
 */
export function prepareFolder(folder: string, document: string, makes: string[], films: string): void {
  const at = (name: string) => join(folder, name)
  for (const name of ['bin', 'fixtures']) symlinkSync(join(packageRoot, name), at(name))
  records(at, recordsOf[document] ?? fragments)
  recordings(at)
  cpSync(films, folder, { recursive: true })
  settings(at)
  series(at)
  symlinkSync(join(packageRoot, 'test/golden/caduceus-ps-cls'), at('caduceus-classifier'))
  // A checkpoint of text with its tokenizer, and lines for it.
  cpSync(join(packageRoot, 'test/golden/hf-mamba'), at('mamba-130m'), { recursive: true })
  cpSync(join(packageRoot, 'test/specimens/text/characters.json'), at('mamba-130m/tokenizer.json'))
  writeFileSync(at('lines.txt'), 'one line\nanother\n')
  writeFileSync(at('reviews.txt'), 'worth seeing\nnever again\n')
  writeFileSync(at('stars.tsv'), '1\tfive\n2\tone\n')
  if (!makes.includes('my-model')) cpSync(join(packageRoot, 'models/origin'), at('my-model'), { recursive: true })
}

/** The model of the hub that the documents name, and in its place, because it is large, a small one of its kind. */
export const modelOfHub = 'kuleshov-group/caduceus-ph_seqlen-131k_d_model-256_n_layer-16'
export function modelFiles(): Record<string, Buffer> {
  const names = ['config.json', 'model.safetensors']
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(join(packageRoot, 'test/golden/caduceus-ph', name))]),
  )
}

function records(at: (name: string) => string, { fasta, labelOf }: Labelled): void {
  const entries = fasta.trim().split(/^>/m).slice(1)
  const ids = entries.map((entry) => entry.split(/\s/, 1)[0])
  const bases = entries.map((entry) => entry.trim().split('\n').slice(1).join(''))
  const table = ids.map((id) => `${id}\t${labelOf(id)}\n`).join('')
  for (const split of ['train', 'valid', 'dev', 'test']) {
    writeFileSync(at(`${split}.fa.gz`), gzipSync(fasta))
    writeFileSync(at(`${split}.tsv.gz`), gzipSync(`id\tlabel\n${table}`))
  }
  writeFileSync(at('new.fa'), fasta)
  writeFileSync(at('new.tsv'), table)
  for (const name of ['reads.fa', 'fragments.fa']) writeFileSync(at(name), fasta)
  const fastq = ids.map((id, i) => `@${id}\n${bases[i]}\n+\n${'I'.repeat(bases[i].length)}\n`).join('')
  writeFileSync(at('reads.fq'), fastq)
  for (const name of ['reads.fq.gz', 'reads.fastq.gz']) writeFileSync(at(name), gzipSync(fastq))
  // As docs/results.md makes it.
  writeFileSync(at('contigs.fa'), `>contig1\n${bases.slice(0, 4).join('')}`)
  const genome = `>chr1\n${bases.join('')}\n`
  writeFileSync(at('genome.fa'), genome)
  const length = genome.length - '>chr1\n\n'.length
  writeFileSync(at('genome.fa.fai'), `chr1\t${length}\t6\t${length}\t${length + 1}\n`)
  const columns = '#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO'
  const variant = `chr1\t101\t.\t${bases[0][100]}\tA,C,G,T\t.\tPASS\t.`
  writeFileSync(at('variants.vcf.gz'), gzipSync(`##fileformat=VCFv4.2\n${columns}\n${variant}\n`))
  mkdirSync(at('genomes'))
  for (const name of ['genome.fna.gz', 'ecoli_k12_mg1655.fna.gz', 'genomes/one.fna.gz', 'genomes/two.fna.gz'])
    writeFileSync(at(name), gzipSync(genome))
}

/** A model that forecasts, and two months of visitors. */
function series(at: (name: string) => string): void {
  symlinkSync(join(packageRoot, 'test/golden/flowstate-r1.1'), at('flowstate'))
  const rows = Array.from({ length: 60 }, (_, i) => {
    const day = new Date(Date.UTC(2024, 0, 1 + i)).toISOString().slice(0, 10)
    return `${day},${100 + 30 * (i % 7)}\n`
  })
  writeFileSync(at('visitors.csv'), `date,visitors\n${rows.join('')}`)
}

/** Texts of recordings, which do as labels too. */
const texts = { 'digits.wav': 'two six four eight', 'sentence.wav': 'billy lived in new york' }
const sounds = { 'dog.wav': 'dog_bark', 'rain.wav': 'rain' }

function recordings(at: (name: string) => string): void {
  const table = (rows: Record<string, string>) =>
    Object.entries(rows)
      .map(([path, text]) => `${path}\t${text}\n`)
      .join('')
  for (const folder of ['recordings', 'numbers', 'readings', 'data', 'speech_read']) {
    mkdirSync(at(folder))
    for (const name of Object.keys(texts)) cpSync(fixture(name), join(at(folder), name))
  }
  for (const folder of ['clips', 'sounds_esc10']) {
    mkdirSync(at(folder))
    for (const name of Object.keys(sounds)) cpSync(fixture(name), join(at(folder), name))
  }
  for (const name of ['train', 'valid', 'test', 'texts', 'readings']) writeFileSync(at(`${name}.tsv`), table(texts))
  for (const name of ['classes', 'valid-classes', 'folds-1-2-3', 'fold-4'])
    writeFileSync(at(`${name}.tsv`), table(sounds))
  cpSync(fixture('rain.wav'), at('shore.wav'))
  cpSync(fixture('digits.wav'), at('numbers.wav'))
}

/** Makes a folder with recordings of other kinds, by ffmpeg. */
export function makeFilms(folder: string): void {
  mkdirSync(folder)
  const films = { 'numbers.mp3': 'digits', 'numbers.mp4': 'digits', 'sentence.mp3': 'sentence' }
  for (const [name, from] of Object.entries(films))
    execFileSync('ffmpeg', ['-v', 'error', '-i', fixture(`${from}.wav`), join(folder, name)], { stdio: 'ignore' })
}

function settings(at: (name: string) => string): void {
  const small = { layers: 1, d_model: 16, d_state: 4, batch: 8 }
  for (const name of ['settings.json', 'small.json']) writeFileSync(at(name), JSON.stringify(small))
  const stem = [{ window: 8, stride: 4, d_out: 16 }]
  writeFileSync(at('speech.json'), JSON.stringify({ ...small, stem }))
  // As the cards say: `origin.json` is `training.settings` of the config.json of origin.
  for (const name of ['bases', 'digits', 'english', 'origin', 'promoter', 'sounds', 'splice']) {
    const config = JSON.parse(readFileSync(join(packageRoot, 'models', name, 'config.json'), 'utf8'))
    writeFileSync(at(`${basename(name)}.json`), JSON.stringify(config.training.settings))
  }
}
