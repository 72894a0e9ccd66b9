import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32, deflateRawSync, gunzipSync, gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { openModel } from '../../src/index.js'
import { significant } from '../../src/output/rows.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import type { ModelSpec } from '../../src/spec.js'
import { randomWeights, seeded, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'
import { complement, maskedBases, nextBases } from './likelihoods.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)
const random = seeded(5)
const dna = (length: number) => Array.from({ length }, () => 'ACGT'[Math.floor(4 * random())]).join('')
const genome: Record<string, string> = { chr1: `${dna(300)}N${dna(299)}`, 'HLA:1': dna(50), chrR: `ACGR${dna(20)}` }
const other = (base: string) => 'CGTA'['ACGT'.indexOf(base)]

/** What samtools faidx writes of lines of 40 bases. */
const lines = Object.entries(genome).map(([name, text]) => `>${name} rest\n${text.replace(/.{1,40}/g, '$&\n')}`)
const index = Object.entries(genome).map(([name, text], i) => {
  const start = lines.slice(0, i).join('').length + `>${name} rest\n`.length
  return `${name}\t${text.length}\t${start}\t40\t41\n`
})

/** As bgzip cuts and packs it, with the index of its blocks. */
function bgzip(bytes: Buffer, size: number): { packed: Buffer; gzi: Buffer } {
  const blocks: Buffer[] = []
  const places: bigint[] = []
  for (let from = 0; from <= bytes.length; from += size) {
    if (from > 0) places.push(BigInt(Buffer.concat(blocks).length), BigInt(from))
    const text = bytes.subarray(from, from + size)
    const data = deflateRawSync(text)
    const head = Buffer.from('1f8b08040000000000ff0600424302000000', 'hex')
    head.writeUInt16LE(head.length + data.length + 7, 16)
    const tail = Buffer.alloc(8)
    tail.writeUInt32LE(crc32(text))
    tail.writeUInt32LE(text.length, 4)
    blocks.push(Buffer.concat([head, data, tail]))
  }
  const gzi = Buffer.from(new BigUint64Array([BigInt(places.length / 2), ...places]).buffer)
  return { packed: Buffer.concat(blocks), gzi }
}

const columns = '#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO'
const header = `##fileformat=VCFv4.2\n##x=\xe9\n${columns}\tFORMAT\tone\n`
const site = (chrom: string, position: number, length: number, alt: string, info = '.') =>
  `${chrom}\t${position}\tid${position}\t${genome[chrom].substr(position - 1, length)}\t${alt}\t.\tPASS\t${info}\tGT\t0/1\n`
const snv = other(genome.chr1[199])
const sites = [
  site('chr1', 5, 1, '<DEL>', 'END=9'),
  site('chr1', 200, 1, `${snv},*,N`, 'DP=3;\xe9'),
  site('chr1', 250, 6, genome.chr1[249].toLowerCase()),
  site('chr1', 299, 1, `${genome.chr1[298]}GATTACA`, ''),
  site('chr1', 600, 1, '.'),
  site('HLA:1', 2, 1, other(genome['HLA:1'][1])),
  site('HLA:1', 49, 2, `${genome['HLA:1'].slice(48)}${'ACGT'.repeat(7)}`),
  site('HLA:1', 30, 2, 'T'.repeat(60)),
]

beforeAll(async () => {
  const spec: ModelSpec = { ...tinySpec('mamba'), head: { kind: 'tokens', tied: true }, strand: 'symmetric' }
  await saveCheckpoint(path('model'), spec, randomWeights(spec))
  const fasta = Buffer.from(lines.join(''))
  const { packed, gzi } = bgzip(fasta, 100)
  expect(gunzipSync(packed)).toEqual(fasta)
  for (const [name, bytes] of Object.entries({ 'g.fa': fasta, 'g.fa.gz': packed, 'g.fa.gz.gzi': gzi }))
    writeFileSync(path(name), bytes)
  for (const name of ['g.fa.fai', 'g.fa.gz.fai']) writeFileSync(path(name), index.join(''))
  writeFileSync(path('one.vcf'), header + sites[1], 'latin1')
  writeFileSync(path('v.vcf'), Buffer.from(header + sites.join(''), 'latin1'))
})

const args = (...more: string[]) => ['score', '-m', path('model'), '--reference', path('g.fa'), ...more]

async function rowsOf(...more: string[]): Promise<Record<string, string | number | null>[]> {
  const { code, stdout, stderr } = await command(args('-q', '-f', 'json', ...more))
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout.toString())
}

/** The window of an allele as the manual says it. */
function windowOf(chrom: string, position: number, ref: number, allele: string, window: number): string {
  const text = genome[chrom].replace(/R/g, 'N')
  const left = Math.floor((window - ref) / 2)
  const before = text.slice(Math.max(0, position - 1 - left), position - 1)
  return before + allele.toUpperCase() + text.slice(position - 1 + ref).slice(0, window - left - allele.length)
}

const bothStrands = async (text: string) =>
  ((await nextBases(path('model'), text))[0] + (await nextBases(path('model'), complement(text)))[0]) / 2

describe('score --vcf', () => {
  test.each([64, 65])('gives the log-likelihood of windows of %i bases, of both strands the mean', async (window) => {
    const rows = await rowsOf('--vcf', path('v.vcf'), '--window', String(window))
    const alleles = sites.flatMap((line) => {
      const [chrom, pos, id, ref, alts] = line.split('\t')
      return alts.split(',').map((alt) => ({ chrom, pos: Number(pos), id, ref, alt }))
    })
    expect(rows.length).toBe(alleles.length)
    const model = await openModel(path('model'))
    const distances: (number | null)[] = []
    for await (const row of model.scoreVariants(path('v.vcf'), { reference: path('g.fa'), window }))
      distances.push(row.embeddingDistance && significant(row.embeddingDistance))
    await model.close()
    expect(rows.map(({ embedding_distance }) => embedding_distance)).toEqual(distances)
    for (const [i, numbered] of rows.entries()) {
      const { ref_log_likelihood, alt_log_likelihood, log_likelihood_ratio, embedding_distance, ...row } = numbered
      const { chrom, pos, ref, alt } = alleles[i]
      expect(row).toEqual(alleles[i])
      if (!/^[ACGTN]+$/i.test(alt) || alt.length > 40) {
        expect([alt_log_likelihood, log_likelihood_ratio, embedding_distance]).toEqual([null, null, null])
        continue
      }
      const windows = [ref, alt].map((allele) => windowOf(chrom, pos, ref.length, allele, window))
      if (pos > 40 && chrom === 'chr1') expect(windows.map(({ length }) => length)).toEqual([window, window])
      const [one, two] = [await bothStrands(windows[0]), await bothStrands(windows[1])]
      expect(ref_log_likelihood).toBeCloseTo(one, 2)
      expect(alt_log_likelihood).toBeCloseTo(two, 2)
      expect(log_likelihood_ratio).toBeCloseTo(two - one, 2)
    }
    for (const how of [
      ['-t', '2', '--chunk', '100'],
      ['-t', '2', '--max-memory', '256M'],
    ])
      expect(await rowsOf('--vcf', path('v.vcf'), '--window', String(window), ...how)).toEqual(rows)
  })

  test('writes VCF in which all but INFO stays byte for byte, and says what it left out', async () => {
    const crlf = Buffer.from((header + sites.join('')).replaceAll('\n', '\r\n').slice(0, -2), 'latin1')
    writeFileSync(path('crlf.vcf.gz'), gzipSync(crlf))
    const { code, stderr } = await command(
      args('--window', '64', '--vcf', path('crlf.vcf.gz'), '-o', path('out.vcf.gz')),
    )
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(
        /^8 variants .*left out: 3 alleles that are not spelt out, 1 alleles too long for the window\n$/,
      ),
    ])
    const written = gunzipSync(readFileSync(path('out.vcf.gz'))).toString('latin1')
    expect(written.endsWith('0/1\n')).toBe(true) // the last line had no end
    const all = written.trimEnd().split('\r\n')
    const rows = await rowsOf('--window', '64', '--vcf', path('v.vcf'))
    const own = all.filter((line) => line.startsWith('##') && /longwave|LW_/.test(line))
    expect(own.map((line) => line.slice(0, 40))).toEqual([
      '##longwave_score=longwave 0.1.0, model /',
      '##INFO=<ID=LW_LL,Number=R,Type=Float,Des',
      '##INFO=<ID=LW_LLR,Number=A,Type=Float,De',
      '##INFO=<ID=LW_DIST,Number=A,Type=Float,D',
    ])
    expect(own[2]).toContain('positive where the model takes ALT to be likelier')
    expect(own[3]).toContain('Euclidean distance between the embeddings')
    const rest = all.filter((line) => !own.includes(line))
    const before = (header + sites.join('')).trimEnd().split('\n')
    const emptied = before.map((line, i) => (rest[i].includes('LW_') ? line.replace('\t.\tGT', '\t\tGT') : line))
    expect(rest.map((line) => line.replace(/;?LW_LL=[^\t]*/, ''))).toEqual(emptied)
    expect(rest.filter((line) => line.includes('LW_')).length).toBe(5)
    const two = rest[4].split('\t')[7]
    const [first, , third] = rows.slice(1)
    expect(two).toBe(
      `DP=3;\xe9;LW_LL=${first.ref_log_likelihood},${first.alt_log_likelihood},.,${third.alt_log_likelihood};` +
        `LW_LLR=${first.log_likelihood_ratio},.,${third.log_likelihood_ratio};` +
        `LW_DIST=${first.embedding_distance},.,${third.embedding_distance}`,
    )
    const again = await command(args('--vcf', path('out.vcf.gz'), '-o', path('again.vcf')))
    expect([again.code, again.stderr]).toEqual([
      65,
      expect.stringMatching(
        /has LW_LL, LW_LLR, LW_DIST in .*; bcftools annotate -x INFO\/LW_LL,INFO\/LW_LLR,INFO\/LW_DIST removes them/,
      ),
    ])
    expect(readdirSync(folder).filter((name) => name.startsWith('again'))).toEqual([])
  })

  test('reads a genome in bgzip and variants from standard input', async () => {
    const plain = await command(args('-q', '--vcf', path('v.vcf')))
    const { code, stdout, stderr } = await command(
      ['score', '-q', '-m', path('model'), '--vcf', '-', '--reference', path('g.fa.gz')],
      { input: readFileSync(path('v.vcf')) },
    )
    expect([code, stderr, stdout.toString()]).toEqual([0, '', plain.stdout.toString()])
  })

  test.each([
    ['chr1:200', 250, 8],
    ['chr1:201-249', 0, 0],
    ['chr1:255-255', 250, 1],
    ['chr1:256-1,000', 299, 2],
    ['HLA:1', 2, 3],
    ['HLA:1:49-', 49, 1],
  ])('--region %s takes what overlaps it', async (region, position, count) => {
    const rows = await rowsOf('--vcf', path('v.vcf'), '--window', '64', '--region', region)
    if (region === 'chr1:200') expect(rows.length).toBe(6)
    else expect(rows.length).toBe(count)
    if (count > 0) expect(rows.map(({ pos }) => pos)).toContain(position)
  })

  test.each(['caduceus-ph', 'caduceus-ps', 'caduceus-m2-ps'])(
    'takes a model that predicts masked bases: %s',
    async (name) => {
      const golden = join(packageRoot, 'test/golden', name)
      const more = ['--vcf', path('one.vcf'), '--reference', path('g.fa'), '--window', '30']
      const { code, stdout } = await command(['score', '-q', '-m', golden, '-f', 'json', ...more])
      const [row] = JSON.parse(stdout.toString())
      const sums: number[] = []
      for (const allele of [genome.chr1[199], snv]) {
        const text = windowOf('chr1', 200, 1, allele, 30)
        const strands = name === 'caduceus-ph' ? [text, complement(text)] : [text]
        let sum = 0
        for (const strand of strands) for (const nats of await maskedBases(golden, strand)) sum += nats / strands.length
        sums.push(sum)
      }
      expect(code).toBe(0)
      expect(row.ref_log_likelihood).toBeCloseTo(sums[0], 2)
      expect(row.log_likelihood_ratio).toBeCloseTo(sums[1] - sums[0], 2)
    },
  )

  test('goes on with --resume where a run broke off', async () => {
    const more = ['--vcf', '-', '--window', '64', '--chunk', '64', '-o', path('kept.vcf'), '--resume']
    const text = Buffer.from(header + sites.join(''), 'latin1')
    const broken = await command(args(...more), { input: Buffer.concat([text, Buffer.from('chr1\tx\n')]) })
    expect([broken.code, existsSync(path('kept.vcf')), existsSync(path('kept.vcf.resume'))]).toEqual([65, false, true])
    const { code, stderr } = await command(args(...more), { input: text })
    expect([code, stderr]).toEqual([0, expect.stringMatching(/; [1-9]\d* of 22 pieces were computed before\n$/)])
    const whole = await command(args('-q', '--vcf', path('v.vcf'), '--window', '64', '-f', 'vcf'))
    expect([readFileSync(path('kept.vcf')), existsSync(path('kept.vcf.resume'))]).toEqual([whole.stdout, false])
  })

  const vcf = (...some: string[]) => header + some.join('')
  const line = (text: string) => `${text.replaceAll(' ', '\t')}\n`
  test.each<[string, string | Buffer, RegExp]>([
    [
      'REF that is another',
      vcf(line(`chr1 5 . ${other(genome.chr1[4])} T . . .`)),
      /x\.vcf: line 4, chr1:5: REF is '.', but .*g\.fa has '.'$/,
    ],
    [
      'a contig that is not there',
      vcf(line('1 5 . A T . . .')),
      /line 4, 1:5: .*g\.fa has no sequence '1' \(its first is 'chr1'\)$/,
    ],
    ['the name of a property', vcf(line('constructor 5 . A T . . .')), /has no sequence 'constructor'/],
    [
      'a place behind the end',
      vcf(line('chr1 601 . A T . . .')),
      /chr1:601: REF is beyond the sequence, which has 600 bases$/,
    ],
    ['the place 0', vcf(line('chr1 0 . A T . . .')), /chr1:0: REF is beyond the sequence/],
    ['no place', vcf(line('chr1 x . A T . . .')), /line 4: POS is 'x', expected a whole number$/],
    ['no REF', vcf(line('chr1 5 . . T . . .')), /line 4: REF is '\.', expected bases/],
    [
      'an ALT of other letters',
      vcf(line('chr1 5 . A T,Q . . .')),
      /line 4: ALT has 'Q', expected bases, \*, <NAME>, a breakend or \.$/,
    ],
    ['an ALT of nothing', vcf(line('chr1 5 . A T, . . .')), /line 4: ALT has ''/],
    ['too few columns', vcf('chr1 5\n'), /line 4: 1 columns, expected at least 8 with tabs between them$/],
    ['no CHROM', vcf(line(' 5 . A T . . .')), /line 4: no CHROM$/],
  ])('a line with %s is an error, or left out and counted', async (_, text, message) => {
    writeFileSync(path('x.vcf'), Buffer.concat([Buffer.from(text), Buffer.from(sites[1], 'latin1')]))
    const more = ['--vcf', path('x.vcf'), '--window', '64']
    const { code, stderr } = await command(args('--no-progress', ...more, '-o', path('x.tsv')))
    expect([code, stderr.trimEnd()]).toEqual([65, expect.stringMatching(message)])
    expect(readdirSync(folder).filter((name) => name.startsWith('x.tsv'))).toEqual([])
    const skipped = await command(args('--no-progress', ...more, '--on-error', 'skip', '-f', 'vcf'))
    expect([skipped.code, skipped.stderr]).toEqual([0, expect.stringMatching(/left out: .*1 bad lines\n$/)])
    expect(
      skipped.stdout
        .toString()
        .split('\n')
        .filter((one) => /^[^#]/.test(one)).length,
    ).toBe(1)
  })

  test('a genome has letters for several bases where REF has the first of them', async () => {
    writeFileSync(path('r.vcf'), header + line('chrR 4 . A G . . .'))
    const [row] = await rowsOf('--vcf', path('r.vcf'))
    expect(row.log_likelihood_ratio).not.toBeNull()
    writeFileSync(path('r.vcf'), header + line('chrR 4 . G A . . .'))
    expect((await command(args('--vcf', path('r.vcf')))).code).toBe(65)
  })

  test.each<[string, string | Buffer, RegExp]>([
    ['nothing', '', /is empty, expected VCF$/],
    ['FASTA', '>a\nACGT\n', /expected VCF, which begins with ##fileformat=VCF/],
    ['BCF', gzipSync('BCF\x02\x02'), /bcftools view makes it/],
    ['no columns', '##fileformat=VCFv4.2\n', /ends before its line #CHROM$/],
    ['no header', '##fileformat=VCFv4.2\nchr1\t5\n', /line 2: expected ## or the columns #CHROM/],
    ['half a file', gzipSync(header).subarray(0, 40), /cut off|ends|damaged/],
  ])('a file of %s is an error, also where bad lines are skipped', async (_, text, message) => {
    writeFileSync(path('x.vcf'), text)
    const { code, stderr } = await command(args('--vcf', path('x.vcf'), '--on-error', 'skip'))
    expect([code, stderr.trimEnd()]).toEqual([65, expect.stringMatching(message)])
  })

  test('a genome without its index, or with another, says what to do', async () => {
    const fasta = lines.join('')
    writeFileSync(path('bare.fa'), fasta)
    writeFileSync(path('gzip.fa.gz'), gzipSync(fasta))
    writeFileSync(path('odd.fa'), fasta.replace(/[ACGT]\n/, 'E\n'))
    writeFileSync(path('odd.fa.fai'), index.join(''))
    writeFileSync(path('short.fa'), fasta.slice(0, 100))
    writeFileSync(path('short.fa.fai'), index.join(''))
    writeFileSync(path('text.fa'), fasta)
    writeFileSync(path('text.fa.fai'), 'what is this\n')
    for (const [name, exit, message] of [
      ['none.fa', 66, /none\.fa: no such file or directory$/],
      ['bare.fa', 66, /bare\.fa\.fai: no such file or directory; samtools faidx .*bare\.fa makes it$/],
      ['gzip.fa.gz', 65, /gzip, but not bgzip/],
      [
        'odd.fa',
        65,
        /does not fit its index \(something that is no base at chr1:1-600\); samtools faidx .* makes it anew$/,
      ],
      ['short.fa', 65, /does not fit its index \(\d+ bases at chr1:/],
      ['text.fa', 65, /does not fit its index \(no length for/],
    ] as const) {
      const more = ['--vcf', path('one.vcf'), '--reference', path(name)]
      const { code, stderr } = await command(['score', '-m', path('model'), ...more])
      expect([code, stderr.trimEnd()], name).toEqual([exit, expect.stringMatching(message)])
    }
  })

  test.each<[string[], RegExp]>([
    [['--vcf', 'x.vcf'], /--reference/],
    [['--reference', 'x.fa', 'x.fa'], /--vcf/],
    [['-f', 'vcf', 'x.fa'], /--format vcf needs --vcf/],
    [['--vcf', 'x.vcf', '--reference', 'g.fa', 'x.fa'], /--vcf FILE is the input: leave the others out/],
    [['--vcf', 'x.vcf', '--reference', 'g.fa', '--per-token', 'x.bg'], /--per-token/],
    [['--vcf', 'v.vcf', '--reference', 'g.fa', '--region', 'chr9'], /--region chr9: .*has no sequence chr9$/],
    [['--vcf', 'v.vcf', '--reference', 'g.fa', '--region', 'chr1:9-2'], /expected a place such as chr2:100-200/],
    [['--vcf', 'v.vcf', '--reference', 'g.fa', '--window', '9.5'], /expected a whole number/],
    [['--vcf', 'v.vcf', '--reference', 'g.fa', '-o', 'v.vcf', '--force'], /an output is never an input/],
  ])('%j is a usage error', async (more, message) => {
    const { code, stderr } = await command(['score', '-m', path('model'), ...more], { cwd: folder })
    expect([code, stderr.trimEnd()]).toEqual([2, expect.stringMatching(message)])
  })
})
