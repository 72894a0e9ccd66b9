import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)
const wav = join(packageRoot, 'fixtures/digits.wav')

/** A program in ffmpeg's place that goes on for ever and does not listen; it leaves its process id. */
function hanging(then = '', first = ''): { env: NodeJS.ProcessEnv; pid: () => Promise<number> } {
  const bin = path(`bin ${Math.random()}`)
  mkdirSync(bin)
  const note = join(bin, 'pid')
  const ignore = `for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE']) process.on(signal, () => {})`
  const script = `#!${process.execPath}\n${ignore}\n${first}\nrequire('node:fs').writeFileSync(${JSON.stringify(note)}, String(process.pid) + '.')\nsetInterval(() => {}, 1000)\n${then}\n`
  writeFileSync(join(bin, 'ffmpeg'), script)
  chmodSync(join(bin, 'ffmpeg'), 0o755)
  const pid = () =>
    until(() =>
      existsSync(note) && /^\d+\.$/.test(readFileSync(note, 'utf8')) ? parseInt(readFileSync(note, 'utf8'), 10) : 0,
    )
  return { env: { PATH: bin, LONGWAVE_THREADS: '2' }, pid }
}

async function until<T>(seen: () => T): Promise<T> {
  for (let round = 0; round < 400; round++) {
    const found = seen()
    if (found) return found
    await setTimeout(25)
  }
  throw new Error('waited for 10 s')
}

const isGone = (pid: number) => {
  try {
    process.kill(pid, 0)
    // What nobody waits for stays in the table of processes.
    const stat = `/proc/${pid}/stat`
    return existsSync(stat) && / Z /.test(readFileSync(stat, 'utf8'))
  } catch {
    return true
  }
}

function start(args: string[], env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, [join(packageRoot, 'bin/run.js'), ...args], {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)))
  return { child, ended }
}

writeFileSync(path('a.mka'), Buffer.concat([Buffer.from([0x1a, 0x45, 0xdf, 0xa3]), Buffer.alloc(100)]))

test.each([
  ['SIGINT', 130],
  ['SIGHUP', 129],
] as const)('%s ends a hanging ffmpeg too', async (signal, expected) => {
  const { env, pid } = hanging()
  const { child, ended } = start(['transcribe', '-d', 'reference', '-m', 'digits', path('a.mka')], env)
  const ffmpeg = await pid()
  child.kill(signal)
  expect(await ended).toBe(expected)
  await until(() => isGone(ffmpeg))
})

test('a reader that goes away ends it', async () => {
  const { env, pid } = hanging(`
    const file = require('node:fs').readFileSync(${JSON.stringify(wav)})
    process.stdout.on('error', () => {})
    process.stdout.write(file.subarray(0, 40))
    process.stdout.write(Buffer.from([255, 255, 255, 255]))
    setInterval(() => process.stdout.writable && process.stdout.write(file.subarray(44)), 20)`)
  const { child, ended } = start(['transcribe', '-m', 'digits', '-f', 'srt', path('a.mka')], env)
  const ffmpeg = await pid()
  child.stdout.once('data', () => child.stdout.destroy())
  await ended
  await until(() => isGone(ffmpeg))
})

test('SIGTERM ends the ffmpeg of a worker thread', async () => {
  const { child, ended, ffmpeg } = await training(['a.mka'])
  child.kill('SIGTERM')
  expect(await ended).toBe(143)
  await until(() => isGone(ffmpeg))
})

test('an error elsewhere ends the ffmpeg of a worker thread', async () => {
  const { ended, ffmpeg } = await training(['bad.mka', 'a.mka'])
  expect(await ended).toBe(65)
  await until(() => isGone(ffmpeg))
})

/** A training, of which one recording hangs in ffmpeg; bad.mka fails a second later. */
async function training(files: string[]) {
  const data = path(`data ${Math.random()}`)
  mkdirSync(data)
  copyFileSync(path('a.mka'), join(data, 'a.mka'))
  copyFileSync(path('a.mka'), join(data, 'bad.mka'))
  copyFileSync(wav, join(data, 'b.wav'))
  const table = join(data, 'table.tsv')
  writeFileSync(table, ['file\ttext', ...files.map((file) => `${file}\tone two`), 'b.wav\ttwo', ''].join('\n'))
  const bad = `if (process.argv.some((word) => word.endsWith('bad.mka'))) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
    process.exit(1)
  }`
  const { env, pid } = hanging('', bad)
  const args = ['train', 'transcribe', '--data', data, '--texts', table, '--out', path(`out ${Math.random()}`)]
  return { ...start(args, env), ffmpeg: await pid() }
}
