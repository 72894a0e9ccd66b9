import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../../src/runtime/random.js'
import { LabelTable } from '../../src/training/data/labels.js'
import { loadDataset } from '../../src/training/dna/dataset.js'
import { prepareDna } from '../../src/training/dna/prepare.js'
import { type DnaAugmentation, DnaExamples, type Records } from '../../src/training/dna/records.js'
import { completeSettings } from '../../src/training/dna/settings.js'

let folder: string
const silent = () => {}
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'longwave-data-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function table(text: string | Uint8Array): Promise<LabelTable> {
  const file = join(folder, 'labels.tsv')
  await writeFile(file, text)
  return LabelTable.read(file)
}

async function* source(...records: [string, number[]][]) {
  for (const [i, [id, codes]] of records.entries())
    yield { id, file: 'x.fa', line: 2 * i + 1, codes: Uint8Array.from(codes) }
}

describe('a labelled set', () => {
  it('takes labels with or without header, more columns, CRLF and gzip', async () => {
    for (const text of ['id\tlabel\nr1\tcat\nr2\tant\n', 'r1\tcat\tfrom here\r\nr2\tant\tfrom there\r\n\r\n']) {
      for (const bytes of [Buffer.from(text), gzipSync(text)]) {
        const set = await loadDataset(source(['r2', [0, 1]], ['r1', [3]]), await table(bytes), null, null, silent)
        expect(set.classes).toEqual(['ant', 'cat'])
        expect([...set.targets]).toEqual([0, 1])
        expect([...set.codes]).toEqual([0, 1, 3])
        expect([...set.offsets]).toEqual([0, 2, 3])
        expect(set).toMatchObject({ ids: ['r2', 'r1'], longest: 2 })
      }
    }
  })

  const set = 'r1\tcat\nr2\tant\n'
  const cases: [string, string, [string, number[]][], string[] | null, 'first' | null, RegExp][] = [
    ['no label', set, [['r1', [0]], ['r3', [0]]], null, null, /^x\.fa: record r3, line 3: no label in .*labels\.tsv$/],
    ['an unknown label', set, [['r2', [0]]], ['cat', 'dog'], null, /labels\.tsv: line 2: label 'ant' of record r2, expected one of cat, dog/],
    ['no bases', set, [['r1', []]], null, null, /^x\.fa: record r1, line 1: no bases$/],
    ['another length', set, [['r1', [0, 0]], ['r2', [0]]], null, 'first', /^x\.fa: record r2, line 3: 1 bases, expected 2/],
    ['no record at all', set, [], null, null, /^no records for/],
  ] // biome-ignore format: a table
  for (const [name, text, records, classes, length, message] of cases)
    it(`names file and line of a record with ${name}`, async () => {
      const error = await loadDataset(source(...records), await table(text), classes, length, silent).catch((e) => e)
      expect(error).toMatchObject({ name: 'UserError', exitCode: 65 })
      expect(error.message).toMatch(message)
    })

  it('names the line of a broken label table', async () => {
    await expect(table('r1\tcat\nr2\n')).rejects.toThrow(/labels\.tsv: line 2: expected id<TAB>label/)
    await expect(table('r1\tcat\nr1\tcat\n')).rejects.toThrow(/line 2: r1 has a label on line 1 already/)
    await expect(LabelTable.read(join(folder, 'none'))).rejects.toMatchObject({ exitCode: 66 })
  })

  it('is read from real files, and the settings are checked before', async () => {
    const [data, labels] = [join(folder, 'r.fa'), join(folder, 'r.tsv')]
    await writeFile(data, '>a\nACGT\n>b\nTTTT\n')
    await writeFile(labels, 'a\tx\nb\ty\n')
    const files = { train: { data, labels }, valid: null }
    const { spec, train, trainable, provenance } = await prepareDna(
      files,
      { layers: 2, pool: 'flatten' },
      null,
      '1',
      silent,
    )
    expect([...(train as Records).codes]).toEqual([0, 1, 2, 3, 3, 3, 3, 3])
    expect(spec.head).toEqual({ kind: 'classes', labels: ['x', 'y'], pool: 'flatten', length: 4 })
    expect(trainable.some((name) => name.startsWith('blocks.0') || name.startsWith('embedding'))).toBe(false)
    expect(trainable.filter((name) => name.startsWith('blocks.1')).length).toBeGreaterThan(5)
    expect(provenance.data.train).toMatchObject({ data: 'r.fa', records: 2 })
    await expect(prepareDna(files, {}, null, 'tail', silent)).rejects.toMatchObject({ exitCode: 2 })
  })
})

describe('settings', () => {
  it('name what is wrong', () => {
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ layer: 2 }, /training setting layer is not known; did you mean layers\? there are layers, /],
      [{ layers: 0 }, /layers is 0, expected a whole number from 1 to 1000/],
      [{ pool: 'sum' }, /pool is "sum", expected one of mean/],
      [{ dropout: 1 }, /dropout is 1/],
      [{ stem: [{ window: 2, stride: 4, d_out: 128 }] }, /stem\[0\]\.window is 2, expected at least 4, its stride/],
      [{ stem: [{ window: 4, stride: 4, d_out: 64 }] }, /d_out 64, expected d_model \(128\)/],
      [{ crop: 10, pool: 'center' }, /crop/],
    ]
    for (const [given, message] of wrong) expect(() => completeSettings(given)).toThrow(message)
    expect(completeSettings({ layers: 3 })).toMatchObject({ layers: 3, d_model: 128 })
  })
})

describe('batches of DNA', () => {
  const codes = Uint8Array.from({ length: 4000 }, (_, i) => (i * 7 + (i >> 3)) % 4)
  const records = setOf(codes, [0, 2000, 4000], [1, 0])
  const off: DnaAugmentation = { substitutions: 0, crop: 0, shift: 0, crossover: 0 }
  const examples = (
    change: Partial<DnaAugmentation> = {},
    strand: 'stranded' | 'symmetric' = 'stranded',
    of = records,
  ) =>
    new DnaExamples(of, { input: { kind: 'tokens', tokenizer: 'dna', vocab_size: 5 }, strand }, { ...off, ...change })
  const draw = (change: Partial<DnaAugmentation>, seed = 1) => examples(change).augmented([1, 0], new Random(seed))
  const plain = examples().plain([1, 0]).input

  it('changes nothing when augmentation is off', () => {
    const batch = draw({})
    expect(batch).toEqual(examples().plain([1, 0]))
    expect(batch.targets.map((target) => [...target])).toEqual([[0], [1]])
    expect([...batch.input]).toEqual([...codes.subarray(2000), ...codes.subarray(0, 2000)])
  })

  it('substitutes the asked share of bases, each by another', () => {
    const changed = draw({ substitutions: 0.1 }).input.filter((id, i) => id !== plain[i]).length
    expect(changed / plain.length).toBeGreaterThan(0.08)
    expect(changed / plain.length).toBeLessThan(0.12)
  })

  it('takes one end of a record from another of its class and length, and from no other', () => {
    // Records of one letter each: two of class 0, one of class 1, and a longer one of class 0.
    const letters = Uint8Array.from([20, 20, 20, 30].flatMap((length, letter) => Array(length).fill(letter)))
    const few = examples({ crossover: 0.999 }, 'stranded', setOf(letters, [0, 20, 40, 60, 90], [0, 0, 1, 0]))
    const forms = new Set<string>()
    for (let seed = 0; seed < 60; seed++) {
      const { input } = few.augmented([0, 2, 3], new Random(seed))
      forms.add(input.subarray(0, 20).join(''))
      expect(input.subarray(20)).toEqual(few.plain([2, 3]).input)
    }
    for (const form of forms) expect(form).toMatch(/^(1{0,10}0{10,20}|0{10,20}1{0,10})$/)
    expect(forms.size).toBeGreaterThan(10)
  })

  it('crops to windows, slides with N, and reads the other strand half of the time', () => {
    expect([...draw({ crop: 100 }).offsets]).toEqual([0, 100, 200])
    expect(draw({ crop: 100 }, 1).input).not.toEqual(draw({ crop: 100 }, 2).input)
    const slid = draw({ shift: 5 })
    expect([...slid.offsets]).toEqual([0, 2000, 4000])
    const both = examples({}, 'symmetric')
    expect(both.views).toBe(2)
    const reverse = both.plain([1, 0], 1).input
    let turned = 0
    for (let seed = 0; seed < 100; seed++) {
      const first = both.augmented([1, 0], new Random(seed)).input.subarray(0, 2000).join()
      expect([plain.subarray(0, 2000).join(), reverse.subarray(0, 2000).join()]).toContain(first)
      if (first === reverse.subarray(0, 2000).join()) turned++
    }
    expect(turned).toBeGreaterThan(30)
    expect(turned).toBeLessThan(70)
  })
})

function setOf(codes: Uint8Array, offsets: number[], labels: number[]): Records {
  return {
    kind: 'dna',
    codes,
    offsets: Float64Array.from(offsets),
    targets: Int32Array.from(labels),
    targetOffsets: Int32Array.from(offsets.keys()),
  }
}
