import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { runMeasured } from '../../src/bench/child.js'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import type { ModelSpec } from '../../src/spec.js'
import { parseSize } from '../../src/text/size.js'
import { randomWeights, seeded, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { cleanEnv, shell, temporaryFolder } from '../shell/run.js'
import { recordingOf, talk } from './talk.js'

const folder = temporaryFolder()
const spools = join(folder, 'spools')
const long = join(folder, 'long.fa')
const longer = join(folder, 'longer.fa')
const speech = join(folder, 'speech.wav')
const prose = join(folder, 'prose.txt')
const vocabulary = join(folder, 'vocabulary')
const MiB = 2 ** 20

beforeAll(async () => {
  mkdirSync(spools)
  const random = seeded(5)
  const bases = (count: number) =>
    Buffer.alloc(count)
      .map(() => 'ACGT'.charCodeAt(4 * random()))
      .toString()
  writeFileSync(long, `>long\n${bases(30_001)}\n>short\n${bases(100)}\n`)
  writeFileSync(longer, `>longer\n${bases(100_000)}\n`)
  writeFileSync(speech, recordingOf(talk(120)))
  writeFileSync(prose, `${bases(800)}\n`)
  const spec: ModelSpec = {
    ...tinySpec('mamba'),
    input: { kind: 'tokens', tokenizer: 'ids', vocab_size: 50_280 },
    head: { kind: 'tokens', tied: true },
  }
  await saveCheckpoint(vocabulary, spec, randomWeights(spec))
  cpSync(join(packageRoot, 'test/specimens/text/byte-level.json'), join(vocabulary, 'tokenizer.json'))
})

/** The least that a command says it needs. */
async function least(args: string[]): Promise<number> {
  const { code, stderr } = await command([...args, '--max-memory', '1M'])
  expect(code).toBe(2)
  return parseSize(/needs at least (\w+)/.exec(stderr)![1])!
}
const size = (bytes: number) => `${Math.ceil(bytes / MiB)}M`

describe('a record whose spool does not fit the memory', () => {
  const args = ['-q', '-m', 'origin', '--tmp-dir', spools, long]
  const commands = [
    ['embed', '-f', 'jsonl'],
    ['embed', '-f', 'jsonl', '--pool', 'none'],
    ['classify', '--probabilities'],
  ]

  test.each(commands)('gives the same bytes through a file: %s %s %s %s', async (...wanted) => {
    const bytes = await least([...wanted, ...args])
    const inMemory = await command([...wanted, ...args])
    const inFile = await command([...wanted, ...args, '--max-memory', size(bytes + 2 * MiB)])
    expect([inMemory.code, inFile.code, inFile.stderr]).toEqual([0, 0, ''])
    expect(inFile.stdout.equals(inMemory.stdout)).toBe(true)
    expect(inFile.stdout.length).toBeGreaterThan(50)
    expect(readdirSync(spools)).toEqual([])
  })

  test('gzip is known by its bytes, whatever the file is called: no plan goes by its size', async () => {
    const packed = gzipSync(readFileSync(longer))
    for (const name of ['packed.fa.gz', 'packed.bgz']) writeFileSync(join(folder, name), packed)
    const bytes = await least(['embed', '-q', '-m', 'origin', '-t', '2', long])
    for (const more of [10, 30, 60, 90]) {
      const plan = async (name: string) => {
        const args = ['-m', 'origin', '-t', '2', '--dry-run', '--max-memory', size(bytes + more * MiB)]
        const { code, stdout, stderr } = await command(['embed', ...args, '--tmp-dir', spools, join(folder, name)])
        return [code, stdout.toString(), stderr]
      }
      expect(await plan('packed.bgz')).toEqual(await plan('packed.fa.gz'))
    }
  })

  test('needs a folder (73) and room on the disk (74); nothing is left behind', async () => {
    const bytes = await least(['embed', ...args])
    const tight = ['embed', '-q', '-m', 'origin', '--max-memory', size(bytes + 2 * MiB), '-f', 'jsonl', long]
    const missing = await command([...tight, '--tmp-dir', join(folder, 'missing')])
    expect([missing.code, missing.stderr]).toEqual([
      73,
      `longwave: ${join(folder, 'missing')}: cannot create a temporary file: no such file or directory; --tmp-dir names another folder\n`,
    ])
    const line = `trap '' XFSZ; ulimit -f 1000; longwave ${tight.map((arg) => `'${arg}'`).join(' ')} --tmp-dir '${spools}'`
    const full = await shell(line, { env: { LONGWAVE_THREADS: '1' } })
    expect([full.code, full.stdout.length]).toEqual([74, 0])
    expect(full.stderr).toBe(
      `longwave: ${spools}: cannot write or read the temporary file: file too large; --tmp-dir names another folder, a larger --max-memory needs no file\n`,
    )
    expect(readdirSync(spools)).toEqual([])
  })

  test.skipIf(process.platform !== 'linux')('leaves nothing behind when the process is killed', async () => {
    const bytes = await least(['embed', ...args])
    const tight = ['embed', '-q', '-m', 'origin', '-t', '1', '--max-memory', size(bytes + 6 * MiB)]
    const child = spawn(
      process.execPath,
      [join(packageRoot, 'bin/run.js'), ...tight, '--tmp-dir', spools, '-f', 'jsonl', longer],
      { env: cleanEnv(), stdio: 'ignore' },
    )
    const closed = new Promise((resolve) => child.on('close', (_, signal) => resolve(signal)))
    const opened = () => readdirSync(`/proc/${child.pid}/fd`).map((fd) => target(`/proc/${child.pid}/fd/${fd}`))
    while (!opened().some((path) => path.startsWith(spools) && path.endsWith(' (deleted)'))) await setTimeout(20)
    child.kill('SIGKILL')
    expect(await closed).toBe('SIGKILL')
    expect(readdirSync(spools)).toEqual([])
  })
})

/** Where a link points to; '' for one that is gone. */
function target(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

describe('the process keeps within --max-memory', () => {
  const out = join(folder, 'out')
  const cases = [
    ['embed', '-m', 'origin', '-t', '1', '-o', `${out}.npy`, longer],
    ['embed', '-m', 'origin', '-t', '1', '--pool', 'none', '-o', `${out}.npy`, longer],
    ['embed', '-m', 'origin', '-t', '1', '--pool', 'none', '-o', `${out}.parquet`, longer],
    ['classify', '-m', 'origin', '-t', '1', '-o', out, longer],
    ['score', '-m', 'bases', '-t', '1', '-o', out, long],
    ['score', '-m', vocabulary, '-t', '1', '-o', out, prose],
    ['transcribe', '-m', 'english', '-t', '1', '-o', out, speech],
    ['embed', '-m', 'sounds', '-t', '1', '-o', `${out}.npy`, speech],
  ]

  test.each(cases)('%s %s %s', async (...args) => {
    const promised = size((await least(args)) + 8 * MiB)
    const { peakBytes } = await runMeasured([...args, '-q', '--force', '--tmp-dir', spools, '--max-memory', promised])
    expect(peakBytes / MiB).toBeLessThanOrEqual(parseSize(promised)! / MiB)
  })
})

describe('--dry-run', () => {
  const dry = (...args: string[]) =>
    command(['embed', '-m', 'origin', '-o', join(folder, 'none.npy'), '--dry-run', ...args])
  const lines = (stdout: Buffer) =>
    Object.fromEntries(
      stdout
        .toString()
        .trim()
        .split('\n')
        .map((line) => line.split(/ {2,}/)),
    )

  test('says how the inputs would be computed, and computes nothing', async () => {
    const { code, stdout, stderr } = await dry('-t', '2', long)
    expect([code, stderr]).toEqual([0, ''])
    expect(lines(stdout)).toMatchObject({
      device: 'cpu',
      workers: '2',
      chunk: '10,240 tokens (2,048 rows), 4 under way',
      sequences: expect.stringMatching(/^up to 30,001 bases, held whole; up to [\d,]+ bases fit$/),
      spool: '2 x 2.2 MiB in memory',
      memory: expect.stringMatching(/^up to \d+ MiB of /),
    })
    // With --resume the spool outlives the run, twice as large.
    const resumed = lines((await dry('-t', '2', '--chunk', '1500', '--resume', long)).stdout)
    expect(resumed.spool).toMatch(/^2 x 4\.\d MiB in .* free\)$/)
    expect(resumed.spool).toContain(folder)
    expect(readdirSync(folder).filter((name) => name.startsWith('none'))).toEqual([])
  })

  test('says where a spool would lie, and what the least is where nothing helps', async () => {
    const bytes = await least(['embed', '-m', 'origin', long])
    const { stdout } = await dry('-t', '2', '--tmp-dir', spools, '--max-memory', size(bytes + 2 * MiB), long)
    expect(lines(stdout).spool).toMatch(/^1 x \d\.\d MiB in .*spools \([\d,.]+ .iB free\)$/)
    const refused = await dry('--max-memory', size(bytes), longer)
    expect(refused.code).toBe(65)
    const [, enough] = /100000 bases at once need --max-memory (\w+); --window/.exec(refused.stderr)!
    const real = ['embed', '-q', '-m', 'origin', '-o', join(folder, 'none.npy'), longer]
    expect(await command([...real, '--max-memory', size(bytes)])).toMatchObject({
      code: 65,
      stderr: expect.stringContaining(`need --max-memory ${enough};`),
    })
    expect((await dry('--max-memory', enough, longer)).code).toBe(0)
  })

  test('reads no pipe, and nothing where no sequence is long', async () => {
    const piped = await command(['classify', '-m', 'origin', '--dry-run'], { input: readFileSync(long) })
    expect(lines(piped.stdout)).toMatchObject({ sequences: expect.stringContaining('a pipe is not read') })
    const windows = await dry('--window', '500', long)
    expect(lines(windows.stdout)).toMatchObject({ sequences: 'up to 500 bases, in one chunk' })
    const { stdout, code } = await command(['transcribe', '-m', 'english', '--dry-run', speech])
    expect([code, lines(stdout).sequences]).toEqual([0, 'up to 3,000 frames, in one chunk'])
  })

  test.each(['12', 'lots', '-1G'])('--max-memory %s is no size', async (text) => {
    const { code, stderr } = await dry(`--max-memory=${text}`, long)
    expect([code, stderr]).toEqual([2, expect.stringContaining('expected a size such as 512M or 2G')])
  })
})
