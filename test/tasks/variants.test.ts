import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { openModel, type VariantRow } from '../../src/index.js'
import { Genome } from '../../src/input/dna/genome.js'
import { InputShare } from '../../src/input/share.js'
import { parseSite } from '../../src/input/vcf/site.js'
import type { DnaOptions } from '../../src/tasks/dna/run.js'
import { VariantRun, wantAlleles } from '../../src/tasks/dna/variants.js'
import type { Site } from '../../src/text/vcf.js'
import { randomWeights, seeded, tinySpec } from '../engine/models.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)
const random = seeded(7)
const bases = Array.from({ length: 400 }, () => 'ACGT'[Math.floor(4 * random())]).join('')
writeFileSync(path('g.fa'), `>chr1\n${bases}\n`)
writeFileSync(path('g.fa.fai'), `chr1\t${bases.length}\t6\t${bases.length}\t${bases.length + 1}\n`)

const header = '##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'
const line = (position: number, length: number, alt: string) =>
  `chr1\t${position}\t.\t${bases.substr(position - 1, length)}\t${alt}\t.\t.\t.`
const other = (base: string) => 'CGTA'['ACGT'.indexOf(base)]
const snv = line(200, 1, other(bases[199]))
const unscored = line(9, 1, '*')
const lines = [snv, line(3, 1, `${bases[2]}ACG,<DEL>,${other(bases[2])}`), line(390, 5, bases[389]), unscored]
writeFileSync(path('v.vcf'), `${header}${lines.join('\n')}\n`)

async function causalModel(name: string): Promise<string> {
  const spec = { ...tinySpec('mamba'), head: { kind: 'tokens', tied: true }, strand: 'symmetric' } as const
  await saveCheckpoint(path(name), spec, randomWeights(spec))
  return path(name)
}

const all = async <Row>(rows: AsyncIterable<Row>): Promise<Row[]> => {
  const list: Row[] = []
  for await (const row of rows) list.push(row)
  return list
}

/** The window of an allele as the manual says it. */
function windowOf({ position, ref }: VariantRow, allele: string, window: number): string {
  const left = Math.floor((window - ref.length) / 2)
  const before = bases.slice(Math.max(0, position - 1 - left), position - 1)
  return before + allele + bases.slice(position - 1 + ref.length).slice(0, window - left - allele.length)
}

describe('scoreVariants', () => {
  test.each([
    ['a causal model', '', '+'],
    ['a causal model, both strands', '', undefined],
    ['Caduceus-Ph', 'caduceus-ph', undefined],
    ['Caduceus-PS', 'caduceus-ps', undefined],
  ] as const)(
    '%s: the distance is that of the vectors of embed, the log-likelihoods those of score',
    async (_, golden, strand) => {
      const [window, name] = [50, golden ? `test/golden/${golden}` : await causalModel('causal')]
      const model = await openModel(name, { threads: 1 })
      const rows = await all(model.scoreVariants(path('v.vcf'), { reference: path('g.fa'), window, strand }))
      expect(rows.map(({ position, alt }) => `${position}${alt}`)).toEqual(
        lines.flatMap((line) =>
          line
            .split('\t')[4]
            .split(',')
            .map((alt) => line.split('\t')[1] + alt),
        ),
      )
      const scored = rows.filter(({ alt }) => !/[<*]/.test(alt))
      const windows = scored.flatMap((row) => [row.ref, row.alt].map((allele) => windowOf(row, allele, window)))
      const sequences = windows.map((sequence, i) => ({ id: `${i}`, sequence }))
      const likelihoods = (await all(model.score(sequences, { strand }))).map(({ logLikelihood }) => logLikelihood)
      const vectors = (await all(model.embed(sequences, { strand }))).map(({ embedding }) => embedding)
      for (const [i, row] of scored.entries()) {
        const [ref, alt] = likelihoods.slice(2 * i)
        expect([row.refLogLikelihood, row.altLogLikelihood, row.logLikelihoodRatio]).toEqual([ref, alt, alt - ref])
        const [a, b] = vectors.slice(2 * i)
        const squares = Array.from(a, (x, d) => (x - b[d]) ** 2)
        expect(row.embeddingDistance).toBe(Math.sqrt(squares.reduce((sum, x) => sum + x, 0)))
        expect(row.embeddingDistance).toBeGreaterThan(0)
      }
      for (const row of rows.filter(({ alt }) => /[<*]/.test(alt)))
        expect([row.altLogLikelihood, row.logLikelihoodRatio, row.embeddingDistance]).toEqual([null, null, null])
      await model.close()
      // Windows that are cut, or swept in halves.
      const cut = await openModel(name, { threads: 2, chunk: 16 })
      expect(await all(cut.scoreVariants(path('v.vcf'), { reference: path('g.fa'), window, strand }))).toEqual(rows)
      await cut.close()
    },
  )

  test('takes a region and variants in memory, and errors are those of the command', async () => {
    const model = await openModel(await causalModel('errors'))
    const options = { reference: path('g.fa'), window: 20 }
    const rows = await all(model.scoreVariants(path('v.vcf'), { ...options, region: 'chr1:1-100' }))
    expect(rows.map(({ position }) => position)).toEqual([3, 3, 3, 9])
    const given = lines.map((one) => {
      const [chrom, position, , ref, alt] = one.split('\t')
      return { chrom, position: Number(position), ref, alt }
    })
    expect(await all(model.scoreVariants(given, { ...options, region: 'chr1:1-100' }))).toEqual(rows)
    for (const [variant, message] of [
      [{ ...given[0], position: 1.5 }, /^variants: line 1: POS is '1.5'/],
      [{ ...given[0], position: 401 }, /^variants: line 1, chr1:401: REF is beyond/],
      [{ ...given[0], chrom: 'chr1\t9' }, /^variants: line 1: expected an object/],
      [{ chrom: 'chr1' }, /^variants: line 1: expected an object/],
      [null, /^variants: line 1: expected an object/],
    ] as const)
      await expect(all(model.scoreVariants([variant as (typeof given)[0]], options))).rejects.toThrow(message)
    const fails = (file: string, more: object) => all(model.scoreVariants(file, { ...options, ...more }))
    await expect(fails(path('v.vcf'), { region: 'chr2' })).rejects.toMatchObject({ exitCode: 2 })
    await expect(fails(path('v.vcf'), { reference: path('none.fa') })).rejects.toMatchObject({ exitCode: 66 })
    writeFileSync(path('bad.vcf'), `${header}chr1\t1\t.\t${other(bases[0])}\tA\t.\t.\t.\n${snv}\n`)
    await expect(fails(path('bad.vcf'), {})).rejects.toMatchObject({ exitCode: 65 })
    const warnings: string[] = []
    const skipped = { onError: 'skip', onWarning: (warning: string) => warnings.push(warning) }
    expect(await fails(path('bad.vcf'), skipped)).toMatchObject([{ position: 200 }])
    expect(warnings).toEqual([expect.stringContaining('REF is')])
    const text = await openModel('test/golden/hf-mamba')
    await expect(all(text.scoreVariants(path('v.vcf'), options))).rejects.toMatchObject({ exitCode: 2 })
    await Promise.all([model.close(), text.close()])
  })
})

describe('lines wait for those before them', () => {
  /** A run over lines of which nobody has more than are asked for, and how many of them were drawn. */
  async function runOver(count: number, lineOf: (i: number) => string) {
    const drawn = { lines: 0, over: false }
    async function* sites(): AsyncGenerator<Site> {
      try {
        for (; drawn.lines < count; drawn.lines++) yield parseSite(Buffer.from(lineOf(drawn.lines)), 1) as Site
      } finally {
        drawn.over = true
      }
    }
    const { spec, weights } = await openCheckpoint(await causalModel('waiting'))
    const vcf = { file: 'v.vcf', header: [], sites: sites(), share: new InputShare([]), counts: { skippedRecords: 0, skippedFiles: 0 }, refuse: () => {} } // biome-ignore format: a list
    const options: DnaOptions = {
      device: 'cpu',
      threads: 1,
      note: () => {},
      skip: false,
      window: 4,
      wanted: wantAlleles(spec),
    }
    const how = { ...options, window: 4 }
    return { drawn, run: new VariantRun({ spec, weights }, vcf, await Genome.open(path('g.fa')), how) }
  }

  const long = `\t${'0|1\t'.repeat(2 ** 14)}`
  test.each<[string, number, number, (i: number) => string]>([
    ['without one that is scored', 12_000, 8500, () => unscored],
    ['behind one that fills no chunk', 12_000, 8500, (i) => (i === 3 ? snv : unscored)],
    ['that are long', 200, 140, (i) => `${i % 90 === 3 ? snv : unscored}${long}`],
    ['that are long and scored', 200, 140, () => `${snv}${long}`],
  ])('lines %s do not pile up', async (_, count, most, lineOf) => {
    const { drawn, run } = await runOver(count, lineOf)
    let [taken, scored, waiting] = [0, 0, 0]
    for await (const { alts } of run.results()) {
      waiting = Math.max(waiting, drawn.lines - taken++)
      if (alts[0]) scored++
    }
    expect(taken).toBe(count)
    expect(scored).toBe(Array.from({ length: count }, (_, i) => lineOf(i)).filter((one) => one.startsWith(snv)).length)
    expect(waiting).toBeLessThan(most)
  })

  test('who has enough ends the reading', async () => {
    const { drawn, run } = await runOver(12_000, () => unscored)
    for await (const _ of run.results()) break
    await expect.poll(() => drawn.over).toBe(true)
    expect(drawn.lines).toBeLessThan(8500)
  })
})
