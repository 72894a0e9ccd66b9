import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { Random } from '../../src/runtime/random.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { chunk, fmt, int16, riff } from '../input/audio/helpers.js'
import { openTags } from '../output/report/tags.js'
import { command } from '../run-command.js'
import { shell, temporaryFolder } from '../shell/run.js'
import { loudnessModel } from '../tasks/audio/models.js'

const folder = temporaryFolder()
const at = (name: string) => join(folder, name)
const evil = '<script>alert(1)</script>'
const ids = Array.from({ length: 40 }, (_, i) => (i === 0 ? `r0${evil}` : `r${i % 37}`))

beforeAll(async () => {
  const dna = (labels: string[]) => {
    const spec = { ...tinySpec('mamba'), head: { kind: 'classes' as const, labels, pool: 'mean' as const } }
    return saveCheckpoint(at(`of ${labels.length}`), spec, randomWeights(spec))
  }
  await dna([evil, 'b', 'c'])
  await dna(['no', 'yes'])
  const { spec, weights } = loudnessModel()
  // Its first row sees the zeros before a recording: they are no voice here.
  weights.get('head.weight')!.data[1] = 4.52
  await saveCheckpoint(at('loudness'), spec, weights)
  const bases = (i: number) => Array.from({ length: 30 }, (_, k) => 'ACGT'[(i * (k + 3) + (k >> 2)) % 4]).join('')
  writeFileSync(at('x.fa'), ids.map((id, i) => `>${id}\n${bases(i)}\n`).join(''))
  const unique = [...new Set(ids)]
  const table = (labels: string[]) => unique.map((id, i) => `${id}\t${labels[i % labels.length]}\n`).join('')
  writeFileSync(at('three.tsv'), table([evil, 'b', 'c']))
  writeFileSync(at('two.tsv'), table(['no', 'yes']))
  mkdirSync(at('rec'))
  const random = new Random(3)
  const sound = (height: number) => Array.from({ length: 12_000 }, () => Math.round(height * random.uniform(-1, 1)))
  for (const [name, height] of [['a', 9000], ['b', 9000], ['silent', 0]] as const) // biome-ignore format: a table
    writeFileSync(
      at(`rec/${name}.wav`),
      riff([chunk('fmt ', fmt({ rate: 8000 })), chunk('data', int16(sound(height)))]),
    )
  writeFileSync(at('texts.tsv'), 'a.wav\tha\nb.wav\t\nsilent.wav\t\n')
  writeFileSync(at('silence.tsv'), 'b.wav\t\nsilent.wav\t\n')
})

const args = (model: string, data: string, labels: string, ...more: string[]) =>
  ['evaluate', '-q', '-m', at(model), '--data', at(data), '--labels', at(labels), ...more] // biome-ignore format: a command line

async function figures(model: string, data: string, labels: string, ...more: string[]) {
  const { code, stdout, stderr } = await command(args(model, data, labels, '--json', ...more))
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout.toString())
}

const read = (name: string) => readFileSync(at(name), 'utf8')
const tsv = (text: string) => text.trimEnd().split('\n').map((line) => line.split('\t')) // biome-ignore format: a line

describe('evaluate of classes', () => {
  test('gives figures of each label, areas and intervals, and the answers that they come from', async () => {
    const all = await figures('of 3', 'x.fa', 'three.tsv', '--predictions', at('rows.tsv'))
    const [header, ...rows] = tsv(read('rows.tsv'))
    const labels = [evil, 'b', 'c']
    expect(header).toEqual(['id', 'truth', 'label', 'score', ...labels.map((label) => `p:${label}`)])
    // A record for each row, also of one id.
    expect(rows.map(([id]) => id)).toEqual(ids)
    for (const [, , label, score, ...each] of rows) {
      const p = each.map(Number)
      expect(p.reduce((a, b) => a + b)).toBeCloseTo(1, 4)
      expect([label, Number(score)]).toEqual([labels[p.indexOf(Math.max(...p))], Math.max(...p)])
    }
    const right = rows.filter(([, truth, label]) => truth === label).length
    expect(all).toMatchObject({ labels, records: 40, accuracy: right / 40 })
    const count = (t: string, c: string) => rows.filter(([, truth, label]) => truth === t && label === c).length
    expect(all.confusion).toEqual(labels.map((t) => labels.map((c) => count(t, c))))
    // The area by counting pairs.
    const [, b] = all.classes
    const scores = (of: boolean) => rows.filter(([, truth]) => (truth === 'b') === of).map((row) => Number(row[5]))
    const pairs = scores(true).flatMap((x) => scores(false).map((y) => (x > y ? 1 : x === y ? 0.5 : 0)))
    expect(b.auroc).toBeCloseTo(pairs.reduce((x: number, y) => x + y, 0) / pairs.length, 4)
    expect(Object.keys(b)).toEqual(['label', 'precision', 'recall', 'f1', 'support', 'auroc', 'auprc'])
    const mean = (key: string) => all.classes.reduce((sum: number, c: Record<string, number>) => sum + c[key], 0) / 3
    expect([all.auroc, all.auprc]).toEqual([mean('auroc'), mean('auprc')])
    expect(all.macro_f1).toBe(all.macro.f1)
    expect(all.intervals).toMatchObject({ level: 0.95, resamples: 1000, seed: 1 })
    for (const name of ['accuracy', 'mcc', 'macro_f1', 'auroc']) {
      const [low, high] = all.intervals[name]
      expect(low, name).toBeLessThanOrEqual(all[name])
      expect(high, name).toBeGreaterThanOrEqual(all[name])
    }
    expect(all.calibration.bins.reduce((sum: number, bin: { records: number }) => sum + bin.records, 0)).toBe(40)
  })

  test('has one area of two labels, that of the second', async () => {
    const all = await figures('of 2', 'x.fa', 'two.tsv', '--predictions', at('rows.jsonl.gz'), '--seed', '7')
    expect(all.positive).toBe('yes')
    expect(all.intervals.seed).toBe(7)
    expect(Object.keys(all.classes[0])).toEqual(['label', 'precision', 'recall', 'f1', 'support'])
    const rows = gunzipSync(readFileSync(at('rows.jsonl.gz'))).toString().trimEnd().split('\n').map((line) => JSON.parse(line)) // biome-ignore format: a line
    expect(Object.keys(rows[0])).toEqual(['id', 'truth', 'label', 'score', 'probabilities'])
    const scores = (of: string) => rows.filter(({ truth }) => truth === of).map((row) => row.probabilities.yes)
    const pairs = scores('yes').flatMap((x) => scores('no').map((y) => (x > y ? 1 : x === y ? 0.5 : 0)))
    expect(all.auroc).toBeCloseTo(pairs.reduce((x: number, y: number) => x + y, 0) / pairs.length, 4)
  })

  test('prints tables with the same figures', async () => {
    const all = await figures('of 2', 'x.fa', 'two.tsv')
    const { stdout } = await command(args('of 2', 'x.fa', 'two.tsv'))
    const text = stdout.toString()
    const [low, high] = all.intervals.mcc
    expect(text).toContain(`MCC                ${all.mcc.toFixed(4)}  ${low.toFixed(4)} to ${high.toFixed(4)}\n`)
    expect(text).toMatch(new RegExp(`^AUROC +${all.auroc.toFixed(4)} `, 'm'))
    expect(text).toMatch(new RegExp(`^yes +${all.classes[1].precision.toFixed(4)} .* ${all.classes[1].support}$`, 'm'))
    expect(text).toMatch(new RegExp(`^weighted +${all.weighted.precision.toFixed(4)} `, 'm'))
  })

  test('draws a report, the same bytes each time, in which no label is an element', async () => {
    for (const name of ['report.html', 'again.html']) await figures('of 3', 'x.fa', 'three.tsv', '--html', at(name))
    const text = read('report.html')
    expect(read('again.html')).toBe(text)
    expect(openTags(text)).toEqual([])
    expect(text).not.toContain('<script')
    expect(text).toContain('>&lt;script&gt;alert(1)&lt;/script&gt;</th>')
    for (const title of ['Confusion matrix', 'Labels', 'Reliability', 'ROC curves', 'Precision and recall'])
      expect(text).toContain(`<h2>${title}</h2>`)
    // A curve for each label.
    expect(text.match(/aria-label="ROC curve of /g)).toHaveLength(3)
  })
})

describe('evaluate of transcripts', () => {
  test('counts what is written in silence, and gives each recording with its texts', async () => {
    const all = await figures('loudness', 'rec', 'texts.tsv', '--predictions', at('texts-out.tsv'))
    expect(tsv(read('texts-out.tsv'))).toEqual([
      ['path', 'reference', 'hypothesis', 'errors', 'words'],
      ['a.wav', 'ha', 'ha', '0', '1'],
      ['b.wav', '', 'ha', '1', '0'],
      ['silent.wav', '', '', '0', '0'],
    ])
    // One word said, one inserted where nothing is said.
    expect(all).toMatchObject({ records: 3, exact: 2 / 3, wer: 1, cer: 1, silent: { records: 2, exact: 1 } })
    expect(all.words).toEqual({ length: 1, substitutions: 0, deletions: 0, insertions: 1 })
    // Samples in which nothing is said have no rate: of the others, one has only a.wav, another b.wav twice.
    expect(all.intervals.wer).toEqual([0, 2])
  })

  test('has no rates where nothing is said at all', async () => {
    const all = await figures('loudness', 'rec', 'silence.tsv')
    expect(all).toMatchObject({ wer: null, cer: null, exact: 0.5, silent: { records: 2, exact: 1 } })
    expect(all.intervals).toMatchObject({ wer: null, cer: null })
    const { stdout } = await command(args('loudness', 'rec', 'silence.tsv'))
    expect(stdout.toString()).toMatch(/^words +- +- +0 +0 +0 +1$/m)
    expect(stdout.toString()).toMatch(/^in silence +1 of 2 without a word$/m)
  })

  test('draws a report with the texts', async () => {
    await figures('loudness', 'rec', 'texts.tsv', '--html', at('texts.html.gz'))
    const text = gunzipSync(readFileSync(at('texts.html.gz'))).toString()
    expect(openTags(text)).toEqual([])
    for (const title of ['Errors', 'Recordings', 'Texts']) expect(text).toContain(`<h2>${title}</h2>`)
    // The worst first.
    expect([...text.matchAll(/<span>(\w+\.wav)</g)].map(([, path]) => path)).toEqual(['b.wav', 'a.wav', 'silent.wav'])
    expect(text).toContain('<dd>1 of 2<small>without a word</small></dd>')
  })
})

describe('classify --window --html', () => {
  const classify = (...more: string[]) => command(['classify', '-q', '-m', at('of 3'), at('x.fa'), ...more])

  test('draws what the windows of a record are called, and agrees with the rows', async () => {
    const ran = await classify('--window', '10', '--min-score', '0.4', '-o', at('windows.tsv'), '--html', at('windows.html')) // biome-ignore format: a command line
    expect([ran.code, ran.stderr]).toEqual([0, ''])
    const text = read('windows.html')
    expect(openTags(text)).toEqual([])
    expect(text).not.toContain('<script')
    const [, ...rows] = tsv(read('windows.tsv'))
    // The first record, window by window.
    const own = rows.filter(([id]) => id === ids[0])
    expect(own).toHaveLength(3)
    const called = [...new Set(rows.map((row) => row[3]))]
    const shares = called.map((label) => [label, own.filter((row) => row[3] === label).length / own.length] as const)
    const drawn = /aria-label="r0&lt;script&gt;alert\(1\)&lt;\/script&gt;: ([^"]+)"/.exec(text)![1]
    const escaped = (label: string) => label.replaceAll('<', '&lt;').replaceAll('>', '&gt;')
    for (const [label, share] of shares) expect(drawn).toContain(`${escaped(label)} ${(100 * share).toFixed(0)} %`)
    // The longest 24 of 40 records, and all windows in the totals.
    expect(text.match(/<h3>/g)).toHaveLength(24)
    expect(text).toContain('the 16 others are in the totals alone')
    for (const label of called)
      expect(text).toContain(
        `<span>${escaped(label)}</span></th><td><span>${rows.filter((row) => row[3] === label).length}<`,
      )
  })

  test('draws the windows, whatever rows are made of them', async () => {
    for (const rows of ['--per-record', '--merge']) {
      const name = at(`windows${rows}.html`)
      const ran = await classify('--window', '10', '--min-score', '0.4', rows, '-o', at(`${rows}.tsv`), '--html', name)
      expect([ran.code, ran.stderr]).toEqual([0, ''])
      expect(readFileSync(name, 'utf8')).toBe(read('windows.html'))
    }
  })

  test('needs windows', async () => {
    const refused = await classify('--html', at('none.html'))
    expect([refused.code, refused.stderr]).toEqual([
      2,
      'longwave: --html draws windows: give their length with --window\n',
    ])
  })
})

describe('files of a report', () => {
  test('are never standard output beside figures, one another, or older files', async () => {
    writeFileSync(at('older.html'), 'mine')
    const refused: [string[], number, RegExp][] = [
      [['--predictions', '-'], 2, /--predictions - and the figures - are both standard output/],
      [['--predictions', at('one'), '--html', at('one')], 2, /--html .*one is the same file as --predictions/],
      [['--html', at('x.fa'), '--force'], 2, /--html .*x\.fa is the same file as --data/],
      [['--predictions', at('new.tsv'), '--html', at('older.html')], 73, /older\.html: the output exists already/],
      [['--html', at('no/where.html')], 73, /cannot create the output/],
    ] // biome-ignore format: a table
    const before = readdirSync(folder)
    for (const [more, code, message] of refused) {
      const ended = await command(args('of 2', 'x.fa', 'two.tsv', ...more))
      expect(ended.stderr).toMatch(message)
      expect([ended.code, ended.stdout.toString()]).toEqual([code, ''])
    }
    expect(read('older.html')).toBe('mine')
    expect(readdirSync(folder)).toEqual(before)
  })

  test('do not appear where a label is unknown late, or the disk is full', async () => {
    const before = readdirSync(folder)
    const unknown = await command(args('of 3', 'x.fa', 'two.tsv', '--predictions', at('p.tsv'), '--html', at('p.html')))
    expect(unknown.code).toBe(65)
    const line = args('of 3', 'x.fa', 'three.tsv', '--html', at('full.html')).map((arg) => `'${arg}'`)
    const full = await shell(`ulimit -f 8; longwave ${line.join(' ')}`)
    expect(full.stderr).toMatch(/^longwave: .*full\.html: cannot write: .*\n$/)
    expect([full.code, full.stdout.toString()]).toEqual([74, ''])
    expect(readdirSync(folder)).toEqual(before)
  })
})
