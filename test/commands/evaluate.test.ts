import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import type { Weights } from '../../src/layers/params.js'
import type { HeadSpec, ModelSpec } from '../../src/spec.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { chunk, fmt, int16, riff } from '../input/audio/helpers.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'
import { loudnessModel, randomAudioModel } from '../tasks/audio/models.js'

const folder = temporaryFolder()
const at = (name: string) => join(folder, name)
const sounds: HeadSpec = { kind: 'classes', labels: ['a', 'b', 'c'], pool: 'mean' }

/** Weights that are finite, but not what they give. */
function overflowing({ spec, weights }: { spec: ModelSpec; weights: Weights }) {
  for (const name of ['norm_f.weight', 'head.weight']) weights.get(name)!.data.fill(3e38)
  return { spec, weights }
}

beforeAll(async () => {
  const dna = () => ({ spec: tinySpec('mamba'), weights: randomWeights(tinySpec('mamba')) })
  const models = {
    dna: dna(),
    loudness: loudnessModel(),
    'dna too large': overflowing(dna()),
    'sounds too large': overflowing(randomAudioModel(sounds, false)),
    'speech too large': overflowing(loudnessModel()),
  }
  for (const [name, { spec, weights }] of Object.entries(models)) await saveCheckpoint(at(name), spec, weights)
  writeFileSync(at('x.fa'), '>r1\nACGT\n>r2\nGGGT\n>r1\nTTTT\n')
  writeFileSync(at('x.tsv'), 'r1\ta\nr2\tb\nr9\tc\n')
  writeFileSync(at('header.tsv'), 'id\tlabel\n')
  mkdirSync(at('rec'))
  const tone = Array.from({ length: 12_000 }, (_, i) => Math.round(9000 * Math.sin((2 * Math.PI * 500 * i) / 8000)))
  for (const name of ['a', 'b'])
    writeFileSync(at(`rec/${name}.wav`), riff([chunk('fmt ', fmt({ rate: 8000 })), chunk('data', int16(tone))]))
  writeFileSync(at('texts.tsv'), 'Clip\tWords\n./a.wav\tha\nsub/../b.wav\tha\n')
  writeFileSync(at('twice.tsv'), 'a.wav\tha\n./a.wav\tha\n')
  writeFileSync(at('sounds.tsv'), 'a.wav\ta\nb.wav\tb\n')
})

const evaluate = async (model: string, data: string, labels: string) => {
  const args = ['evaluate', '-m', at(model), '--data', at(data), '--labels', at(labels), '--json', '-t', '2']
  const { code, stdout, stderr } = await command(args)
  return { code, figures: code === 0 ? JSON.parse(stdout.toString()) : null, stderr }
}

describe('evaluate', () => {
  test('counts each record of an id, and says how many entries have none', async () => {
    const { code, figures, stderr } = await evaluate('dna', 'x.fa', 'x.tsv')
    expect(code).toBe(0)
    expect(figures.records).toBe(3)
    expect(figures.confusion.map((row: number[]) => row.reduce((a, b) => a + b))).toEqual([2, 1, 0])
    expect(stderr).toContain('x.tsv: 1 of 3 entries name no record that was read, the first: r9 (line 3)')
  })

  test('finds recordings by the line of the table, however it writes their path', async () => {
    const { figures, stderr } = await evaluate('loudness', 'rec', 'texts.tsv')
    expect(figures).toMatchObject({ records: 2, exact: 1, wer: 0 })
    expect(stderr).toContain('texts.tsv: line 1: taken for a header, because there is no record Clip')
  })

  const refused: [string, string, string, string, number, RegExp][] = [
    ['one recording twice', 'loudness', 'rec', 'twice.tsv', 65, /twice\.tsv: line 2: \.\/a\.wav is a\.wav of line 1\n/],
    ['a table without entries', 'dna', 'x.fa', 'header.tsv', 65, /header\.tsv: no entries/],
    ['a table of no recordings', 'loudness', 'rec', 'header.tsv', 65, /header\.tsv: no entries/],
    ['a folder for a model of DNA', 'dna', 'rec', 'sounds.tsv', 2, /rec: a folder, but this model reads a file of DNA\n/],
    ['no number of DNA', 'dna too large', 'x.fa', 'x.tsv', 69, /no finite number for .*x\.fa: record r1, line 1\n/],
    ['no number of sounds', 'sounds too large', 'rec', 'sounds.tsv', 69, /no finite number for .*rec\/a\.wav\n/],
    ['no number of speech', 'speech too large', 'rec', 'sounds.tsv', 69, /no finite number for .*rec\/a\.wav\n/],
  ] // biome-ignore format: a table
  test.each(refused)('refuses %s', async (_, model, data, labels, code, message) => {
    const ended = await evaluate(model, data, labels)
    expect(ended.stderr).toMatch(message)
    expect(ended.stderr).toMatch(/^longwave: [^\n]+\n$/)
    expect(ended.code).toBe(code)
  })
})

test('a record that overflows the model is an error (69) that names it, never a row', async () => {
  const runs: [string[], RegExp][] = [
    [['classify', '-m', at('dna too large'), at('x.fa')], /x\.fa: record r1, line 1$/],
    [['classify', '-m', at('sounds too large'), at('rec/b.wav')], /rec\/b\.wav$/],
    [['embed', '-m', at('dna too large'), '-f', 'jsonl', at('x.fa')], /x\.fa: record r1, line 1$/],
    [['embed', '-m', at('dna too large'), '--pool', 'none', '-o', at('x.npy'), at('x.fa')], /x\.fa: record r1, line 1$/],
    [['transcribe', '-m', at('speech too large'), at('rec/a.wav')], /rec\/a\.wav$/],
    [['transcribe', '-m', at('speech too large'), '--beam', '4', at('rec/a.wav')], /rec\/a\.wav$/],
  ] // biome-ignore format: a table
  for (const [args, name] of runs) {
    const { code, stdout, stderr } = await command([...args, '-t', '2', '-q'])
    expect(stderr.trim()).toMatch(new RegExp(`^longwave: the model gives no finite number for .*${name.source}`))
    expect([code, stdout.toString().split('\n').slice(1).join('')], args.join(' ')).toEqual([69, ''])
  }
})
