import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dnaTokenizer } from '../../src/tokens/tokenizer.js'
import { LabelTable, loadDataset } from '../../src/training/dataset.js'
import { prepare } from '../../src/training/prepare.js'
import { Random } from '../../src/training/random.js'
import { augmentedBatch, plainBatch } from '../../src/training/records.js'
import { completeSettings } from '../../src/training/settings.js'

let folder: string
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
        const set = await loadDataset(source(['r2', [0, 1]], ['r1', [3]]), await table(bytes), null, null)
        expect(set.classes).toEqual(['ant', 'cat'])
        expect([...set.labels]).toEqual([0, 1])
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
    ['a repeated id', set, [['r1', [0]], ['r1', [1]]], null, null, /^x\.fa: record r1, line 3: .* on line 1$/],
    ['no bases', set, [['r1', []]], null, null, /^x\.fa: record r1, line 1: no bases$/],
    ['another length', set, [['r1', [0, 0]], ['r2', [0]]], null, 'first', /^x\.fa: record r2, line 3: 1 bases, expected 2/],
    ['no record at all', set, [], null, null, /^no records for/],
  ] // biome-ignore format: a table
  for (const [name, text, records, classes, length, message] of cases)
    it(`names file and line of a record with ${name}`, async () => {
      const error = await loadDataset(source(...records), await table(text), classes, length).catch((e) => e)
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
    const { spec, train, trainable, provenance } = await prepare(files, { layers: 2, pool: 'positions' }, null, '1')
    expect([...train.codes]).toEqual([0, 1, 2, 3, 3, 3, 3, 3])
    expect(spec.head).toEqual({ kind: 'classes', labels: ['x', 'y'], pool: 'positions', length: 4 })
    expect(trainable.some((name) => name.startsWith('blocks.0') || name.startsWith('embedding'))).toBe(false)
    expect(trainable.filter((name) => name.startsWith('blocks.1')).length).toBeGreaterThan(5)
    expect(provenance.data.train).toMatchObject({ data: 'r.fa', records: 2 })
    await expect(prepare(files, {}, null, 'tail')).rejects.toMatchObject({ exitCode: 2 })
  })
})

describe('settings', () => {
  it('name what is wrong', () => {
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ layer: 2 }, /unknown training setting 'layer'/],
      [{ layers: 0 }, /layers is 0, expected a whole number, 1 or more/],
      [{ pool: 'sum' }, /pool is "sum", expected one of mean/],
      [{ dropout: 1 }, /dropout is 1/],
      [{ stem: [{ window: 2, stride: 4, d_out: 128 }] }, /stem is/],
      [{ stem: [{ window: 4, stride: 4, d_out: 64 }] }, /d_out 64, expected d_model \(128\)/],
      [{ crop: 10, pool: 'center' }, /crop/],
    ]
    for (const [given, message] of wrong) expect(() => completeSettings(given)).toThrow(message)
    expect(completeSettings({ layers: 3 })).toMatchObject({ layers: 3, d_model: 128 })
  })
})

describe('augmentation', () => {
  const codes = Uint8Array.from({ length: 4000 }, (_, i) => (i * 7 + (i >> 3)) % 4)
  const records = { codes, offsets: Float64Array.of(0, 2000, 4000), labels: Int32Array.of(1, 0) }
  const dna = dnaTokenizer('dna')
  const off = { substitutions: 0, crop: 0, shift: 0, crossover: 0, reverseComplement: false }
  const draw = (change: Partial<typeof off>, seed = 1) =>
    augmentedBatch(records, [1, 0], dna, { ...off, ...change }, new Random(seed))

  it('changes nothing when it is off', () => {
    const batch = draw({})
    expect(batch).toEqual(plainBatch(records, [1, 0], dna))
    expect([...batch.labels]).toEqual([0, 1])
    expect([...batch.ids]).toEqual([...codes.subarray(2000), ...codes.subarray(0, 2000)])
  })

  it('substitutes the asked share of bases, each by another', () => {
    const plain = plainBatch(records, [1, 0], dna).ids
    const changed = draw({ substitutions: 0.1 }).ids.filter((id, i) => id !== plain[i]).length
    expect(changed / plain.length).toBeGreaterThan(0.08)
    expect(changed / plain.length).toBeLessThan(0.12)
  })

  it('takes one end of a record from another of its class and length, and from no other', () => {
    // Records of one letter each: class 0 of A and C, class 1 of G, and a longer one of class 0.
    const letters = Uint8Array.from([
      ...Array(20).fill(0),
      ...Array(20).fill(1),
      ...Array(20).fill(2),
      ...Array(30).fill(3),
    ])
    const few = { codes: letters, offsets: Float64Array.of(0, 20, 40, 60, 90), labels: Int32Array.of(0, 0, 1, 0) }
    const forms = new Set<string>()
    for (let seed = 0; seed < 60; seed++) {
      const { ids } = augmentedBatch(few, [0, 2, 3], dna, { ...off, crossover: 0.999 }, new Random(seed))
      forms.add(ids.subarray(0, 20).join(''))
      expect(ids.subarray(20)).toEqual(plainBatch(few, [2, 3], dna).ids)
    }
    const [a, c] = [0, 1].map((record) => plainBatch(few, [record], dna).ids[0])
    const end = new RegExp(`^(${c}{0,10}${a}{10,20}|${a}{10,20}${c}{0,10})$`)
    for (const form of forms) expect(form).toMatch(end)
    expect(forms.size).toBeGreaterThan(10)
  })

  it('crops to windows, slides with N, and reads the other strand half of the time', () => {
    expect([...draw({ crop: 100 }).offsets]).toEqual([0, 100, 200])
    expect(draw({ crop: 100 }, 1).ids).not.toEqual(draw({ crop: 100 }, 2).ids)
    const slid = draw({ shift: 5 })
    expect([...slid.offsets]).toEqual([0, 2000, 4000])
    const plain = plainBatch(records, [1, 0], dna).ids
    const reverse = plainBatch(records, [1, 0], dna, true).ids
    let turned = 0
    for (let seed = 0; seed < 100; seed++) {
      const { ids } = draw({ reverseComplement: true }, seed)
      const first = ids.subarray(0, 2000).join()
      expect([plain.subarray(0, 2000).join(), reverse.subarray(0, 2000).join()]).toContain(first)
      if (first === reverse.subarray(0, 2000).join()) turned++
    }
    expect(turned).toBeGreaterThan(30)
    expect(turned).toBeLessThan(70)
  })
})

describe('the generator', () => {
  it('draws uniform and normal numbers, and other ones for another stream', () => {
    const random = new Random(1, 2)
    const xs = Array.from({ length: 20000 }, () => random.normal())
    const mean = xs.reduce((a, b) => a + b, 0) / xs.length
    const variance = xs.reduce((a, x) => a + x * x, 0) / xs.length
    expect(Math.abs(mean)).toBeLessThan(0.03)
    expect(Math.abs(variance - 1)).toBeLessThan(0.05)
    const first = (...stream: number[]) => new Random(...stream).uint32()
    expect(
      new Set([first(1, 2), first(2, 1), first(1, 2, 0), first(12), first(1, 3), first(1 + 2 ** 32, 2)]).size,
    ).toBe(6)
    expect(first(1, 2)).toBe(first(1, 2))
    expect([...new Random(3).shuffle(Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7))].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })
})
