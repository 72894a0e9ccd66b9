import { spawn } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { waveform } from '../../src/bench/transcribe.js'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import type { HeadSpec } from '../../src/spec.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { hasFfmpeg } from '../input/audio/has-ffmpeg.js'
import { specimen, rows as specimens } from '../input/audio/helpers.js'
import { command } from '../run-command.js'
import { shell, temporaryFolder } from '../shell/run.js'
import { letters, loudnessModel, randomAudioModel } from '../tasks/audio/models.js'
import { recordingOf, talk as talkFor } from './talk.js'

const folder = temporaryFolder()
const classes: HeadSpec = { kind: 'classes', labels: ['rain', 'dog', 'bell'], pool: 'mean' }
const models = {
  loudness: loudnessModel(),
  causal: randomAudioModel(letters, false),
  both: randomAudioModel(letters, true),
  sounds: randomAudioModel(classes, false),
  'sounds both': randomAudioModel(classes, true),
}
const path = (name: string) => join(folder, name)
/** In the words of a shell. */
const quoted = (name: string) => JSON.stringify(path(name))

const voice = talkFor(70)
const talk = path('talk.wav')
const sentence = path('sentence.wav')
const cut = path('cut.wav')
const dna = path('dna.fa')

beforeAll(async () => {
  for (const [name, { spec, weights }] of Object.entries(models)) await saveCheckpoint(path(name), spec, weights)
  await saveCheckpoint(path('dna'), tinySpec('mamba'), randomWeights(tinySpec('mamba')))
  writeFileSync(talk, recordingOf(voice))
  writeFileSync(sentence, specimen('derived_jfk_8k_mulaw.wav'))
  const whole = specimen('derived_jfk_streaming_size_ffffffff.wav')
  writeFileSync(cut, specimen('derived_jfk_truncated_body.wav'))
  writeFileSync(path('whole.wav'), whole)
  writeFileSync(dna, '>a\nACGT\n')
})

const run = (model: string, args: string[], input?: Uint8Array) =>
  command(['transcribe', '-m', path(model), '-q', ...args], { input })
const text = async (...args: Parameters<typeof run>) => {
  const { code, stdout, stderr } = await run(...args)
  expect([stderr, code]).toEqual(['', 0])
  return stdout.toString()
}
const table = (tsv: string) =>
  tsv
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'))

describe('transcribe', () => {
  test.each(['causal', 'both'])('the same bytes whatever the chunk and the threads (%s)', async (model) => {
    const files = [talk, sentence, talk, cut]
    const runs = [
      ['-t', '1'],
      ['-t', '3', '--chunk', '40'],
      ['-t', '2', '--chunk', '1000'],
    ]
    const [first, ...others] = await Promise.all(runs.map((args) => run(model, ['-f', 'tsv', ...args, ...files])))
    expect(table(first.stdout.toString()).length).toBeGreaterThan(20)
    for (const other of others) expect(other.stdout.equals(first.stdout)).toBe(true)
    // One file of several is what it is alone.
    const alone = table(await text(model, ['-f', 'tsv', talk]))
    const rows = table(first.stdout.toString()).slice(1)
    const talks = rows.filter(([path]) => path === talk)
    expect(talks).toEqual([...alone.slice(1), ...alone.slice(1)])
    expect(rows.map(([path]) => files.indexOf(path)).filter((f, i, all) => f !== all[i - 1])).toEqual([0, 1, 0, 3])
    const beam = ['--beam', '3', sentence]
    expect(await text(model, ['--chunk', '40', ...beam])).toBe(await text(model, beam))
  })

  test('the same sentence in every coding is the same text', async () => {
    const names = specimens.map(({ file }) => file).filter((file) => /^derived_jfk_.*\.wav$/.test(file))
    const codings = names.filter((file) => !/truncated/.test(file)).map((file) => path(file))
    expect(codings.length).toBeGreaterThan(11)
    for (const file of codings) writeFileSync(file, specimen(basename(file)))
    const { code, stdout } = await run('loudness', codings)
    expect(code).toBe(0)
    const lines = table(stdout.toString())
    expect(lines.map(([file]) => file)).toEqual(codings)
    expect(new Set(lines.map(([, said]) => said))).toEqual(new Set(['ha ha']))
    const english = table((await command(['transcribe', '-q', '-m', 'english', ...codings])).stdout.toString())
    expect(english.length).toBe(codings.length)
    expect(new Set(english.map(([, said]) => said)).size).toBe(1)
    expect(english[0][1].length).toBeGreaterThan(10)
  })

  test('formats, with times', async () => {
    expect(await text('loudness', ['-f', 'srt', sentence])).toBe('1\n00:00:00,000 --> 00:00:02,200\nha ha\n\n')
    expect(await text('loudness', ['-f', 'vtt', sentence])).toBe('WEBVTT\n\n00:00:00.000 --> 00:00:02.200\nha ha\n\n')
    const json = JSON.parse(await text('causal', ['-f', 'json', talk]))
    expect(table(await text('causal', ['-f', 'tsv', talk])).slice(1)).toEqual(
      json.map(({ path, start, end, text }: Record<string, string | number>) => [
        path,
        (start as number).toFixed(3),
        (end as number).toFixed(3),
        text,
      ]),
    )
    let before = 0
    for (const { start, end, text, words } of json) {
      expect(words.map((word: { text: string }) => word.text).join(' ')).toBe(text)
      expect([words[0].start, words.at(-1).end]).toEqual([start, end])
      for (const word of words) {
        expect(word.start).toBeGreaterThanOrEqual(before)
        expect(word.end).toBeGreaterThan(word.start)
        before = word.start
      }
    }
    expect(before).toBeGreaterThan(65)
  })

  test('several files, lists and standard input', async () => {
    expect(await text('loudness', [sentence, path('whole.wav')])).toBe(
      `${sentence}\tha ha\n${path('whole.wav')}\tha ha\n`,
    )
    writeFileSync(path('list'), `${sentence}\n${path('whole.wav')}\n`)
    expect(table(await text('loudness', ['--infile-list', path('list')])).length).toBe(2)
    const wav = readFileSync(sentence)
    expect(await text('loudness', ['-'], wav)).toBe('ha ha\n')
    expect(table(await text('loudness', ['-f', 'tsv'], wav))[1]).toEqual(['-', '0.000', '2.200', 'ha ha'])
    const srt = await run('loudness', ['-o', path('both.srt'), sentence, sentence])
    expect([srt.code, srt.stderr]).toEqual([2, expect.stringMatching(/srt holds one recording: .*tsv or json/)])
  })

  test('--offset and --duration; times stay those of the recording', async () => {
    const late = path('late.wav')
    writeFileSync(late, recordingOf([...Array(12_000).fill(0), ...voice]))
    const rows = async (...args: string[]) => table(await text('causal', ['-f', 'tsv', ...args])).slice(1)
    const spoken = await rows(talk)
    const plus = (seconds: string) => (Number(seconds) + 1.5).toFixed(3)
    expect((await rows('--offset', '1.5', late)).map(([, start, end, words]) => [start, end, words])).toEqual(
      spoken.map(([, start, end, words]) => [plus(start), plus(end), words]),
    )
    const ends = (await rows('--duration', '20', talk)).map(([, , end]) => Number(end))
    expect(ends.at(-1)).toBeGreaterThan(15)
    expect(ends.at(-1)).toBeLessThanOrEqual(20)
    expect((await run('loudness', ['--channel', '2', sentence])).code).toBe(65)
    const beyond = await command(['transcribe', '-m', path('loudness'), '--offset', '100', sentence])
    expect([beyond.code, beyond.stdout.toString()]).toEqual([0, '\n'])
    expect(beyond.stderr).toMatch(/nothing at the offset of 100.000 s/)
  })

  test('a recording that is cut off: a warning, and what was read is written down', async () => {
    const { code, stdout, stderr } = await command(['transcribe', '-m', path('loudness'), cut])
    expect([code, stdout.toString()]).toEqual([0, 'ha ha\n'])
    expect(stderr).toMatch(/cut off: \d+ of \d+ samples read \(\d\.\d+ s of \d\.\d+ s\)/)
  })

  test('bad files: an error, or skipped, reported and counted', async () => {
    const files = [sentence, dna, path('nothing.wav'), path('whole.wav')]
    const out = path('out.txt')
    const failed = await run('loudness', ['-o', out, ...files])
    expect([failed.code, failed.stderr]).toEqual([
      65,
      expect.stringMatching(/^longwave: .*dna.fa: no known format of audio/),
    ])
    expect(() => readFileSync(out)).toThrow('ENOENT')
    expect((await run('loudness', [path('nothing.wav')])).code).toBe(66)
    const skipped = await command(['transcribe', '-m', path('loudness'), '--on-error', 'skip', ...files])
    expect(skipped.code).toBe(0)
    expect(skipped.stdout.toString()).toBe(`${sentence}\tha ha\n${path('whole.wav')}\tha ha\n`)
    expect(skipped.stderr.trimEnd().split('\n').at(-1)).toMatch(/^2 files .*of audio.*; left out: 2 bad files$/)
  })

  test('models that do not transcribe, and none', async () => {
    const line = async (model: string, args: string[] = [sentence]) => {
      const { code, stderr } = await run(model, args)
      return `${code} ${stderr}`
    }
    expect(await line('dna')).toMatch(/^2 longwave: this model does not read audio/)
    expect(await line('sounds')).toMatch(/^2 longwave: this model does not transcribe/)
    expect(await line('nothing')).toMatch(/^69 longwave: .*no such model/)
    cpSync(join(packageRoot, 'models/english'), path('foreign'), { recursive: true })
    const config = readFileSync(path('foreign/config.json'), 'utf8')
    writeFileSync(path('foreign/config.json'), config.replace('"texts": [', '"texts": ["übel",'))
    expect(await line('foreign')).toMatch(/^69 longwave: spec.head.language.texts: 'ü' does not occur/)
  })

  test('text goes out before the audio ends', async () => {
    const args = ['transcribe', '-q', '-m', path('causal'), '-t', '1', '--chunk', '200', '-f', 'tsv', '-']
    const child = spawn(process.execPath, [join(packageRoot, 'bin/run.js'), ...args])
    child.stdin.on('error', () => {}) // what it did not read any more
    child.stdin.write(readFileSync(talk).subarray(0, 900_000))
    let said = ''
    for await (const part of child.stdout) {
      said += part
      if (said.split('\n').length > 2) break // the audio goes on
    }
    child.stdin.end()
    expect(said).toMatch(/^path\tstart\tend\ttext\n-\t\d/)
  })

  test('a reader that goes away ends the run', async () => {
    writeFileSync(path('long.wav'), Buffer.concat([...waveform(60)]))
    const line = `longwave transcribe -q -m ${quoted('causal')} --chunk 200 -f tsv ${quoted('long.wav')} | head -n 2; echo "\${PIPESTATUS[0]}"`
    const { stdout, stderr } = await shell(line)
    expect([stderr, stdout.toString().split('\n').length, stdout.toString().trim().split('\n').at(-1)]).toEqual([
      '',
      4,
      '0',
    ])
  })
})

describe('classify', () => {
  const classify = (model: string, ...args: string[]) => command(['classify', '-m', path(model), '-q', ...args])

  test.each(['sounds', 'sounds both'])(
    'one row per file, the same bytes whatever chunk and threads (%s)',
    async (model) => {
      const files = [talk, sentence, path('whole.wav'), sentence]
      const { code, stdout, stderr } = await classify(model, '--probabilities', ...files)
      expect([stderr, code]).toEqual(['', 0])
      const [header, ...rows] = table(stdout.toString())
      expect(header).toEqual(['id', 'length', 'label', 'score', 'p:rain', 'p:dog', 'p:bell'])
      expect(rows.map(([id, length]) => [id, length])).toEqual(files.map((id) => [id, id === talk ? '70' : '3.2']))
      expect(rows[1].slice(2)).toEqual(rows[3].slice(2))
      for (const args of [
        ['-t', '1', '--chunk', '60'],
        ['-t', '3'],
      ]) {
        const other = await classify(model, '--probabilities', ...args, ...files)
        expect(other.stdout.equals(stdout)).toBe(true)
      }
    },
  )

  test('windows in seconds, the report in seconds', async () => {
    const report = path('report.tsv')
    const { stdout } = await classify('sounds', '--window', '1.5', '--stride', '0.75', '--report', report, sentence)
    const [header, ...rows] = table(stdout.toString())
    expect(header).toEqual(['id', 'start', 'end', 'label', 'score'])
    expect(rows.map(([, start, end]) => [Number(start), Number(end)])).toEqual([
      [0, 1.5],
      [0.75, 2.25],
      [1.5, 3],
      [2.25, 3.2],
    ])
    const [columns, ...totals] = table(readFileSync(report, 'utf8'))
    expect(columns).toEqual(['label', 'count', 'percent', 'seconds'])
    expect(totals.reduce((sum, [, , , seconds]) => sum + Number(seconds), 0)).toBeCloseTo(5.45, 4)
    const later = table((await classify('sounds', '--offset', '1', '--window', '1.4', sentence)).stdout.toString())
    expect(later.slice(1).map(([, start, end]) => [start, end])).toEqual([
      ['1', '2.4'],
      ['2.4', '3.2'],
    ])
  })

  test('flags and files of the other kind are refused in one line', async () => {
    const line = async (...args: string[]) => {
      const { code, stderr } = await classify(args[0], ...args.slice(1))
      expect(stderr.trimEnd().split('\n').length).toBe(1)
      return `${code} ${stderr}`
    }
    expect(await line('sounds', '--strand', 'both', sentence)).toMatch(/^2 .*--strand is for DNA/)
    expect(await line('sounds', '--min-length', '3', sentence)).toMatch(/^2 .*--min-length is for DNA/)
    expect(await line('dna', '--offset', '3', dna)).toMatch(/^2 .*--offset is for audio/)
    expect(await line('dna', '--window', '1.5', dna)).toMatch(/^2 .*whole number of bases/)
    expect(await line('dna', sentence)).toMatch(/^65 .*sentence.wav: WAV, expected FASTA/)
    expect(await line('sounds', dna)).toMatch(/^65 .*dna.fa: no known format of audio/)
    expect(await line('causal', sentence)).toMatch(/^2 .*no classes/)
  })

  test.skipIf(!hasFfmpeg)('a bad file is skipped and counted, what goes through ffmpeg is read', async () => {
    const matroska = await shell(`ffmpeg -v error -i ${quoted('sentence.wav')} -c:a flac -f matroska -`)
    writeFileSync(path('sentence.mka'), matroska.stdout)
    writeFileSync(path('broken.mka'), matroska.stdout.subarray(0, 4))
    const files = [path('broken.mka'), sentence, path('sentence.mka')]
    const { code, stdout, stderr } = await command(['classify', '-m', path('sounds'), '--on-error', 'skip', ...files])
    const [, first, second, none] = table(stdout.toString())
    expect([code, first[0], second[0], none]).toEqual([0, sentence, path('sentence.mka'), undefined])
    expect(second.slice(1)).toEqual(first.slice(1))
    expect(stderr).toMatch(/^2 files .*; left out: 1 bad files/m)
  })
})

test('embed gives a vector per recording, or window', async () => {
  const out = await command(['embed', '-m', path('sounds'), '-q', '-f', 'jsonl', sentence, talk])
  const vectors = out.stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(vectors.map(({ id, length, embedding }) => [id, length, embedding.length])).toEqual([
    [sentence, 3.2, 16],
    [talk, 70, 16],
  ])
  const windows = await command(['embed', '-m', path('sounds'), '-q', '-f', 'jsonl', '--window', '2', sentence])
  expect(
    windows.stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).end),
  ).toEqual([2, 3.2])
})

test.each(['sounds', 'sounds both'])(
  'embed --pool none: a vector per row, with its seconds, whatever the cut (%s)',
  async (model) => {
    const embed = async (args: string[], input?: Uint8Array) => {
      const run = ['embed', '-m', path(model), '-q', '-f', 'jsonl', '--pool', 'none', ...args]
      const { code, stdout, stderr } = await command(run, { input })
      expect([stderr, code]).toEqual(['', 0])
      return stdout.toString()
    }
    const file = await embed([sentence])
    const rows = file
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    for (const [i, row] of rows.entries()) {
      expect(Object.keys(row)).toEqual(['id', 'start', 'end', 'embedding'])
      if (i > 0) expect(row.start).toBe(rows[i - 1].end)
    }
    expect([rows[0].start, rows.at(-1).end]).toEqual([0, 3.2])
    expect(await embed(['--chunk', '40', sentence])).toBe(file)
    expect(
      (await embed(['-'], readFileSync(sentence))).replaceAll('"id":"-"', `"id":${JSON.stringify(sentence)}`),
    ).toBe(file)
    const offset = (await embed(['--offset', '1', sentence])).split('\n', 1)[0]
    expect(JSON.parse(offset).start).toBe(1)
  },
)

describe('evaluate', () => {
  const evaluate = async (model: string, table: string, ...args: string[]) => {
    writeFileSync(path('truth.tsv'), table)
    const set = ['--data', folder, '--labels', path('truth.tsv')]
    const { code, stdout, stderr } = await command(['evaluate', '-m', path(model), '-q', ...set, ...args])
    expect([stderr, code]).toEqual(['', 0])
    return stdout.toString()
  }

  test('counts the words and characters in which transcripts differ from what was said', async () => {
    const said = (await text('causal', [sentence])).trim()
    const words = said.split(' ')
    const right = JSON.parse(await evaluate('causal', `file\ttext\nsentence.wav\t${said}\n`, '--json'))
    expect(right).toMatchObject({ records: 1, exact: 1, wer: 0, cer: 0, words: { length: words.length } })
    const dotted = JSON.parse(await evaluate('causal', `./sentence.wav\t${said}\n`, '--json'))
    expect(dotted).toMatchObject({ records: 1, wer: 0 })
    const more = `sentence.wav\t${['extra', ...words.slice(1)].join(' ')} more\nwhole.wav\t${said}\n`
    const { words: edits, wer, records } = JSON.parse(await evaluate('causal', more, '--json'))
    expect(records).toBe(2)
    expect(edits.deletions).toBeGreaterThanOrEqual(1)
    expect(edits.substitutions).toBeGreaterThanOrEqual(1)
    expect(wer).toBeCloseTo((edits.substitutions + edits.deletions + edits.insertions) / edits.length, 12)
    expect(await evaluate('causal', more)).toMatch(
      /^records +2\nwithout an error +0\.5000\n\n +error rate +95 % interval +said +substituted .*\nwords +0\.\d+ /,
    )
  })

  test('measures classes of sounds', async () => {
    const { stdout } = await command(['classify', '-m', path('sounds'), '-q', sentence])
    const label = table(stdout.toString())[1][2]
    const metrics = JSON.parse(await evaluate('sounds', `sentence.wav\t${label}\n`, '--json'))
    expect(metrics).toMatchObject({ records: 1, accuracy: 1, labels: ['rain', 'dog', 'bell'] })
  })
})
