import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { formatBySuffix } from '../../src/output/suffix.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import type { ModelSpec } from '../../src/spec.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { specimen } from '../input/audio/helpers.js'
import { command } from '../run-command.js'
import { shell, temporaryFolder } from '../shell/run.js'
import { letters, loudnessModel, randomAudioModel } from '../tasks/audio/models.js'
import { recordingOf, talk } from './talk.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)
const files = (name: string) =>
  readdirSync(path(name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path(name).length + 1))
    .sort()
const text = (name: string) => readFileSync(path(name), 'utf8')

const sentence = specimen('derived_jfk_8k_mulaw.wav')
/** Of a header whose samples never come. */
const bad = sentence.subarray(0, 30)

beforeAll(async () => {
  const models = {
    loudness: loudnessModel(),
    random: randomAudioModel(letters, false),
    sounds: randomAudioModel({ kind: 'classes', labels: ['rain', 'dog', 'bell'], pool: 'mean' }, false),
  }
  for (const [name, { spec, weights }] of Object.entries(models)) await saveCheckpoint(path(name), spec, weights)
  const origin: ModelSpec = { ...tinySpec('mamba'), head: { kind: 'classes', labels: ['a', 'b'], pool: 'mean' } }
  await saveCheckpoint(path('dna'), origin, randomWeights(origin))
  for (const name of ['talks/sub/deep', 'talks/.hidden', 'empty', 'texts']) mkdirSync(path(name), { recursive: true })
  for (const name of [
    'talks/b.wav',
    'talks/a.wav',
    'talks/sub/a.wav',
    'talks/sub/deep/no suffix',
    'talks/.hidden/x.wav',
  ])
    writeFileSync(path(name), sentence)
  for (const name of ['talks/notes.txt', 'texts/notes.txt'])
    writeFileSync(path(name), 'a.wav: he speaks of his country')
  writeFileSync(path('talks/cover.webp'), Buffer.from('RIFF\x10\0\0\0WEBPVP8 ', 'latin1'))
  symlinkSync('a.wav', path('talks/link.wav'))
  symlinkSync('nowhere.wav', path('talks/dangling.wav'))
  symlinkSync('..', path('talks/sub/above'))
})

const run = (args: string[], input?: Uint8Array) =>
  command(['transcribe', ...(args.includes('-m') ? [] : ['-m', 'loudness']), ...args], { input, cwd: folder })
const quietly = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(['-q', ...args])
  expect([stderr, code]).toEqual(['', 0])
  return stdout.toString()
}
const failure = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(['-q', ...args])
  expect([stdout.toString(), stderr.trimEnd().split('\n').length]).toEqual(['', 1])
  return `${code} ${stderr.replace('longwave: ', '').trimEnd()}`
}

const found = ['talks/a.wav', 'talks/b.wav', 'talks/link.wav', 'talks/sub/a.wav', 'talks/sub/deep/no suffix']

describe('a folder', () => {
  test('means the recordings in it, in the order of their names', async () => {
    const { code, stdout, stderr } = await run(['talks'])
    expect([code, stdout.toString()]).toEqual([0, found.map((name) => `${name}\tha ha\n`).join('')])
    expect(stderr).toMatch(/^longwave: talks: 4 other files passed over, which are no recordings\n5 files /)
    expect(await quietly('talks/sub/deep/')).toBe('talks/sub/deep/no suffix\tha ha\n')
    expect(await quietly('-f', 'srt', 'talks/sub/deep')).toMatch(/^1\n00:00:0/)
  })

  test('may stand among files and in a list', async () => {
    writeFileSync(path('list'), 'talks/sub\ntalks/b.wav\n')
    const lines = (await quietly('--infile-list', 'list', 'talks/a.wav')).trimEnd().split('\n')
    expect(lines.map((line) => line.split('\t')[0])).toEqual([found[1 - 1], found[3], found[4], found[1]])
  })

  test('without recordings, and one that may not be read, are errors 66', async () => {
    expect(await failure('empty')).toBe('66 empty: no recordings in this folder')
    expect(await failure('texts')).toBe('66 texts: no recordings in this folder, but 1 other file')
    if (process.getuid?.() === 0) return
    mkdirSync(path('locked'))
    chmodSync(path('locked'), 0)
    expect(await failure('locked')).toBe('66 locked: this folder may not be read (EACCES)')
  })

  test('is read by classify and embed, of audio and of DNA', async () => {
    const ids = async (...args: string[]) => {
      const { code, stdout } = await command([...args, '-q'], { cwd: folder })
      expect(code).toBe(0)
      return stdout
        .toString()
        .trimEnd()
        .split('\n')
        .slice(args[0] === 'classify' ? 1 : 0)
    }
    expect((await ids('classify', '-m', 'sounds', 'talks')).map((row) => row.split('\t')[0])).toEqual(found)
    expect((await ids('embed', '-m', 'sounds', '-f', 'jsonl', 'talks')).map((row) => JSON.parse(row).id)).toEqual(found)
    mkdirSync(path('genomes'))
    writeFileSync(path('genomes/b.fa.gz'), gzipSync('>two\nACGT\n'))
    writeFileSync(path('genomes/a.fq'), '@one\nACGT\n+\nIIII\n')
    writeFileSync(path('genomes/c.jsonl'), '{"id":"three","seq":"ACGT"}\n')
    writeFileSync(path('genomes/README'), 'Three records.\n')
    writeFileSync(path('genomes/config.json'), '{"name": "no records"}\n')
    const rows = await ids('classify', '-m', 'dna', 'genomes')
    expect(rows.map((row) => row.split('\t')[0])).toEqual(['one', 'two', 'three'])
  })
})

describe('--output-dir', () => {
  test('writes a file for each input, in the folders that they come from', async () => {
    expect(await quietly('--output-dir', 'out/all', '-f', 'vtt', 'talks')).toBe('')
    expect(files('out/all')).toEqual(['a.vtt', 'b.vtt', 'link.vtt', 'sub/a.vtt', 'sub/deep/no suffix.vtt'])
    const one = await quietly('-f', 'vtt', 'talks/a.wav')
    for (const name of files('out/all')) expect(text(`out/all/${name}`)).toBe(one)
    await quietly('--output-dir', 'out/some', 'talks/b.wav', 'talks/sub/a.wav')
    expect(files('out/some').map((name) => [name, text(`out/some/${name}`)])).toEqual([
      ['a.txt', 'ha ha\n'],
      ['b.txt', 'ha ha\n'],
    ])
  })

  test('two of one name, standard input and -o beside it are usage errors, before anything is written', async () => {
    const two = '2 --output-dir: talks/a.wav and talks/sub/a.wav would both become out/two/a.txt: '
    expect(await failure('--output-dir', 'out/two', 'talks/a.wav', 'talks/sub/a.wav')).toMatch(two)
    expect(await failure('--output-dir', 'out/two', '-o', 'x', 'talks')).toBe(
      '2 -o and --output-dir exclude each other',
    )
    expect(await failure('--output-dir', 'out/two', '-')).toMatch(/^2 --output-dir: standard input has no name/)
    expect(existsSync(path('out/two'))).toBe(false)
    expect(await failure('-f', 'srt', 'talks')).toMatch(/^2 srt holds one recording: .*--output-dir.*tsv or json/)
    expect(await failure('-o', 'x.vtt', 'talks')).toMatch(/^2 vtt holds one recording/)
  })

  test('replaces files only with --force, and never an input', async () => {
    mkdirSync(path('taken'))
    writeFileSync(path('taken/b.txt'), 'mine')
    expect(await failure('--output-dir', 'taken', 'talks/a.wav', 'talks/b.wav')).toBe(
      '73 taken/b.txt: the output exists already; --force replaces it',
    )
    expect(files('taken')).toEqual(['b.txt'])
    await quietly('--output-dir', 'taken', '--force', 'talks/a.wav', 'talks/b.wav')
    expect([text('taken/a.txt'), text('taken/b.txt')]).toEqual(['ha ha\n', 'ha ha\n'])
    writeFileSync(path('recording.txt'), sentence)
    expect(await failure('--output-dir', '.', '--force', 'recording.txt')).toMatch(/^2 .*an output is never an input/)
    // Transcripts beside the recordings are no inputs of the next run.
    await quietly('--output-dir', 'talks/sub/deep', 'talks/sub/deep')
    await quietly('--output-dir', 'talks/sub/deep', '--force', 'talks/sub/deep')
    expect(text('talks/sub/deep/no suffix.txt')).toBe('ha ha\n')
  })

  test('that cannot be created is 73', async () => {
    writeFileSync(path('a file'), '')
    expect(await failure('--output-dir', 'a file', 'talks/a.wav')).toMatch(/^73 a file: cannot create the output: /)
    expect(await failure('--output-dir', 'a file/x', 'talks/a.wav')).toMatch(
      /^73 a file\/x: cannot create the output: /,
    )
  })
})

describe('early ends leave whole files, and none of the others', () => {
  test('a bad recording in the middle', async () => {
    writeFileSync(path('bad.wav'), bad)
    const inputs = ['talks/a.wav', 'bad.wav', 'talks/b.wav']
    expect(await failure('--output-dir', 'stopped', ...inputs)).toMatch(/^65 bad.wav: /)
    expect(files('stopped')).toEqual(['a.txt'])
    const { code, stderr } = await run(['--output-dir', 'skipped', '--on-error', 'skip', ...inputs])
    expect([code, files('skipped'), text('skipped/a.txt')]).toEqual([0, ['a.txt', 'b.txt'], 'ha ha\n'])
    expect(stderr).toMatch(/left out: 1 bad files/)
    // Nothing was finished: no folder either.
    await failure('--output-dir', 'nothing', 'bad.wav', 'talks/a.wav')
    expect(existsSync(path('nothing'))).toBe(false)
  })

  const args = (to: string, ...inputs: string[]) => [
    'transcribe',
    '-q',
    '-t',
    '2',
    '-m',
    'random',
    '-f',
    'json',
    '--output-dir',
    to,
    ...inputs,
  ]

  test('a full disk', async () => {
    writeFileSync(path('long.wav'), recordingOf(talk(60)))
    const line = `ulimit -f 2; longwave ${args('full', 'talks/a.wav', 'long.wav', 'talks/b.wav').join(' ')}`
    const { code, stderr } = await shell(line, { cwd: folder })
    expect([code, stderr]).toEqual([74, expect.stringMatching(/^longwave: full\/long.json: cannot write: /)])
    expect(files('full')).toEqual(['a.json'])
    expect(JSON.parse(text('full/a.json'))[0].path).toBe('talks/a.wav')
  })

  test('a signal', async () => {
    execFileSync('mkfifo', [path('pipe.wav')])
    const program = [join(packageRoot, 'bin/run.js'), ...args('cut', 'talks/a.wav', 'pipe.wav')]
    const child = spawn(process.execPath, program, { cwd: folder, stdio: 'ignore' })
    const ended = once(child, 'close')
    // The recording goes on when the signal comes; some of its text is written by then.
    const pipe = createWriteStream(path('pipe.wav'))
    pipe.on('error', () => {})
    pipe.write(recordingOf(talk(60)))
    while (files('.').filter((name) => /^cut\/(a.json|pipe.json.*tmp)$/.test(name)).length < 2) await setTimeout(20)
    child.kill('SIGINT')
    expect(await ended).toEqual([130, null])
    pipe.destroy()
    expect(files('cut')).toEqual(['a.json'])
    expect(text('cut/a.json')).toBe(await quietly('-m', 'random', '-f', 'json', 'talks/a.wav'))
  })
})

describe('formats and times', () => {
  test('the suffix of -o says which format, unless -f does', async () => {
    const formats = ['txt', 'srt', 'json', 'jsonl'] as const
    const named = ['-', 'x', 'x.srt', 'x.SRT.gz', 'x.json', 'x.jsonl.gz', 'x.srt.wav', 'srt']
    expect(named.map((output) => formatBySuffix(output, formats))).toEqual(
      ['txt', 'txt', 'srt', 'srt', 'json', 'jsonl', 'txt', 'txt'], // biome-ignore format: as the names above
    )
    await quietly('-o', 'x.vtt', 'talks/a.wav')
    expect(text('x.vtt')).toMatch(/^WEBVTT\n/)
    const embed = await command(['embed', '-q', '-m', 'sounds', '-o', 'v.jsonl', 'talks/a.wav'], { cwd: folder })
    expect([embed.code, text('v.jsonl')[0]]).toEqual([0, '{'])
    const classify = await command(['classify', '-q', '-m', 'sounds', '-o', 'c.json', 'talks/a.wav'], { cwd: folder })
    expect([classify.code, text('c.json')[0]]).toEqual([0, '['])
  })

  test('--offset and --duration take seconds and clock times', async () => {
    const rows = (...args: string[]) => quietly('-f', 'tsv', ...args, 'talks/a.wav')
    const late = await rows('--offset', '0.5', '--duration', '2')
    expect(late.split('\n').length).toBeGreaterThan(2)
    expect(await rows('--offset', '00:00:00.5', '--duration', '0:02')).toBe(late)
    const far = await run(['--offset', '00:01:30', 'talks/a.wav'])
    expect(far.stderr).toMatch(/nothing at the offset of 90.000 s/)
    for (const wrong of ['1:90', '1:75:00', '-1', 'x', '', '1e3', '00:00:00:01'])
      expect(await failure(`--offset=${wrong}`, 'talks/a.wav')).toMatch(
        /^2 .*expected seconds from 0 on or a time such as 00:01:30/,
      )
    expect(await failure('--duration', '0', 'talks/a.wav')).toMatch(/^2 .*expected seconds from 0.001 on/)
  })
})
