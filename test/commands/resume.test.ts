import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import type { ModelSpec } from '../../src/spec.js'
import { randomWeights, seeded, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { cleanEnv, temporaryFolder } from '../shell/run.js'
import { letters, randomAudioModel } from '../tasks/audio/models.js'
import { recordingOf, talk } from './talk.js'

/** Where runs are killed. */
const seed = Number(process.env.LONGWAVE_CRASH_SEED ?? Date.now() % 2 ** 32)

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)
const models = {
  causal: {
    spec: { ...tinySpec('mamba', true, true), blocks: Array(6).fill(tinySpec('mamba', true, true).blocks[0]) },
  },
  both: { spec: { ...tinySpec('add', false, true), blocks: Array(6).fill(tinySpec('add', false, true).blocks[0]) } },
}
for (const { spec } of Object.values(models)) spec.hidden_states = { ...spec.hidden_states, listed: 6 }
const strands = {
  spec: {
    ...models.both.spec,
    head: { kind: 'tokens' as const, tied: true },
    reverse_complement: { complement: [3, 2, 1, 0, 4], fused: true },
  },
}
const next: { spec: ModelSpec } = { spec: { ...tinySpec('mamba', false, true), head: { kind: 'tokens', tied: true } } }
const saved: Record<string, { spec: ModelSpec }> = { ...models, strands, next }
const save = (name: string, seed?: number) =>
  saveCheckpoint(path(name), saved[name].spec, randomWeights(saved[name].spec, seed))

beforeAll(async () => {
  console.info(`runs are killed at random moments: LONGWAVE_CRASH_SEED=${seed}`)
  for (const name of Object.keys(saved)) await save(name)
  const hears = randomAudioModel(letters, false)
  await saveCheckpoint(path('forward'), hears.spec, hears.weights)
  const random = seeded(5)
  const bases = (count: number) =>
    Buffer.alloc(count)
      .map(() => 'ACGT'.charCodeAt(4 * random()))
      .toString()
  const records = Array.from({ length: 400 }, (_, i) => `>r${i}\n${bases(200 + (i % 300))}\n`)
  writeFileSync(path('reads.fa'), records.join(''))
  const long = [24_000, 90, 16_000].map((length, i) => `>long${i}\n${bases(length)}\n`)
  writeFileSync(path('long.fa'), long.join(''))
  const several = Array.from({ length: 6 }, (_, i) => `>several${i}\n${bases(4000 + i)}\n`)
  writeFileSync(path('several.fa'), several.join(''))
  writeFileSync(path('speech.wav'), recordingOf(talk(120)))
  writeFileSync(path('lecture.wav'), recordingOf(talk(200)))
  writeFileSync(path('more.wav'), recordingOf(talk(30)))
  for (const name of new Set(Object.values(kinds).flatMap(({ inputs }) => inputs)))
    utimesSync(path(name), written, written)
}, 60_000)

interface Kind {
  args: string[]
  inputs: string[]
  /** Outputs, the first of them by -o unless the arguments name it. */
  outputs: string[]
  /** Threads of the runs that are killed. */
  threads?: number[]
  /** How often something is kept before, at the most; more in each of them. */
  often?: number
}

const kinds: Record<string, Kind> = {
  'classify, many records': {
    args: ['classify', '-m', 'origin', '--report', 'REPORT'],
    inputs: ['reads.fa'],
    outputs: ['out.tsv.gz', 'REPORT'],
  },
  'classify, long records of a causal model': {
    args: ['classify', '-m', path('causal'), '--chunk', '300', '--probabilities'],
    inputs: ['long.fa'],
    outputs: ['out.tsv'],
  },
  'embed, all rows of long records of a causal model': {
    args: ['embed', '-m', path('causal'), '--chunk', '300', '--pool', 'none'],
    inputs: ['long.fa'],
    outputs: ['out.npy', 'out.npy.ids.tsv'],
  },
  'embed, all rows of long records of a model that reads both ways': {
    args: ['embed', '-m', path('both'), '--chunk', '3000', '--pool', 'none'],
    inputs: ['several.fa'],
    outputs: ['out.parquet'],
  },
  'classify, long records of a model that reads both ways': {
    args: ['classify', '-m', path('both'), '--chunk', '300', '--probabilities'],
    inputs: ['long.fa'],
    outputs: ['out.tsv'],
    threads: [1, 2, 2],
    often: 5,
  },
  'embed, all rows of long records of a model that reads both strands': {
    args: ['embed', '-m', path('strands'), '--chunk', '300', '--pool', 'none'],
    inputs: ['long.fa'],
    outputs: ['out.safetensors', 'out.safetensors.ids.tsv'],
    threads: [2, 2, 2],
    often: 9,
  },
  'embed, windows': {
    args: ['embed', '-m', 'origin', '--window', '500', '--stride', '150'],
    inputs: ['long.fa'],
    outputs: ['out.jsonl.gz'],
  },
  'score, long records of a model that predicts the next base, and each base of them': {
    args: ['score', '-m', path('next'), '--chunk', '300', '--per-token', 'out.bedgraph'],
    inputs: ['long.fa'],
    outputs: ['out.tsv', 'out.bedgraph'],
  },
  'transcribe, a model that reads forward': {
    args: ['transcribe', '-m', path('forward'), '-f', 'tsv', '--chunk', '200'],
    inputs: ['speech.wav', 'more.wav'],
    outputs: ['out.tsv'],
  },
  'transcribe, windows and a beam, into a folder': {
    args: ['transcribe', '-m', 'english', '-f', 'srt', '--beam', '4', '--output-dir', 'texts'],
    inputs: ['lecture.wav', 'more.wav'],
    outputs: ['texts/lecture.srt', 'texts/more.srt'],
  },
}

let places = 0
const emptyPlace = () => {
  const place = path(`place${places++}`)
  mkdirSync(place)
  return place
}

const lineOf = ({ args, inputs, outputs }: Kind, place: string) => [
  ...args.map((arg) => (['REPORT', 'texts'].includes(arg) ? join(place, arg) : arg)),
  ...(args.includes('--output-dir') ? [] : ['-o', join(place, outputs[0])]),
  '--resume',
  ...inputs.map(path),
]

/** When the inputs were written, in seconds. */
const written = 1.7e9

/** The same run is refused when its input, its model or a flag has changed, and touches nothing. */
async function refused(kind: Kind, place: string, what: number): Promise<void> {
  const line = lineOf(kind, place)
  const before = keptIn(place)
  const again = async (flag?: string, value = '') => {
    const at = flag === undefined ? -1 : line.indexOf(flag)
    const changed = at < 0 ? [...line, ...(flag === undefined ? [] : [flag, value])] : line.with(at + 1, value)
    const { code, stderr } = await command(changed)
    expect([code, stderr, keptIn(place)]).toEqual([73, expect.stringContaining('is of another run: '), before])
  }
  const input = path(kind.inputs[0])
  const model = line[line.indexOf('-m') + 1]
  const name = Object.keys(saved).find((each) => path(each) === model)
  if (what % 3 === 0) {
    utimesSync(input, written, written + 1)
    await again()
    utimesSync(input, written, written)
  } else if (what % 3 === 2) await again('--chunk', '777')
  else if (name === undefined) await again('-m', path('causal'))
  else {
    await save(name, 7)
    await again()
    await save(name)
  }
}

/** Of a finished run. */
const filesIn = ({ outputs }: Kind, place: string) => outputs.map((output) => readFileSync(join(place, output)))

function start(
  line: string[],
  place: string,
  threads: number,
): { child: ChildProcess; ended: Promise<{ code: number | null; stderr: string }> } {
  const child = spawn(process.execPath, [join(packageRoot, 'bin/run.js'), ...line], {
    cwd: place,
    env: { ...cleanEnv(), LONGWAVE_THREADS: String(threads) },
  })
  let stderr = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, stderr }))) }
}

/** What the folder of a run holds; '': nothing yet. */
function keptIn(place: string): string {
  const files = readdirSync(place, { recursive: true })
    .map(String)
    .filter((name) => /\.resume\/(answers-\d+|[0-9a-f]+\.(state|(left|right|whole)[.a-z]*\.sweep))$/.test(name))
  const found = files.map((name) => statSync(join(place, name), { throwIfNoEntry: false }))
  return found.map((file) => file && `${file.ino} ${file.size}`).join()
}

/** Starts a run and kills it some milliseconds after it has kept something so often; false: its output was there before. */
async function killed(
  run: [line: string[], place: string, threads: number],
  often: number,
  milliseconds: number,
): Promise<boolean> {
  const { child, ended } = start(...run)
  const [, place] = run
  let over = false
  void ended.then(() => {
    over = true
  })
  let before = keptIn(place)
  for (let left = often; left > 0 && !over; await sleep(2)) {
    const now = keptIn(place)
    if (now !== before) left--
    before = now
  }
  await Promise.race([ended, sleep(milliseconds)])
  child.kill('SIGKILL')
  // It may have been all but over.
  return (await ended).code === null && keptIn(place) !== ''
}

/** Pieces, and passes over layers. */
const computedBefore = (stderr: string) => {
  const [, pieces, passes = 0] = /(\d+) of \d+ pieces were computed before(?:, and (\d+) passes)?/.exec(stderr) ?? []
  return Number(pieces) + Number(passes)
}

describe('a run that was killed ends as if it had not been', () => {
  test.each(Object.entries(kinds))('%s', { timeout: 180_000 }, async (_, kind) => {
    const random = seeded(seed + Object.values(kinds).indexOf(kind))
    const undisturbed = emptyPlace()
    const threaded = (line: string[], cwd: string) => command(line, { cwd, env: { LONGWAVE_THREADS: '2' } })
    const plain = lineOf(kind, undisturbed).filter((arg) => arg !== '--resume')
    const alone = await threaded(plain, undisturbed)
    expect(alone.code, alone.stderr).toBe(0)
    const wanted = filesIn(kind, undisturbed)
    const { threads = [1, 2], often = 1 } = kind
    let [place, turn] = ['', 0]
    // A fast machine may be through before the kill: then the next run is killed sooner.
    for (let latest = 200; turn === 0 && latest > 10; latest /= 2) {
      place = emptyPlace()
      for (; turn < threads.length; turn++) {
        const times = 1 + Math.floor((often + turn) * random())
        if (!(await killed([lineOf(kind, place), place, threads[turn]], times, latest * random()))) break
        await refused(kind, place, Object.values(kinds).indexOf(kind) + turn)
      }
    }
    expect(turn).toBeGreaterThan(0)
    if (turn === threads.length) {
      const { code, stderr } = await threaded(lineOf(kind, place), place)
      expect(code, stderr).toBe(0)
      expect(computedBefore(stderr), stderr).toBeGreaterThan(0)
    }
    for (const [i, bytes] of filesIn(kind, place).entries()) expect(bytes.equals(wanted[i]), kind.outputs[i]).toBe(true)
    expect(readdirSync(place, { recursive: true }).map(String).sort()).toEqual(
      readdirSync(undisturbed, { recursive: true }).map(String).sort(),
    )
  })
})

describe('a run that failed', () => {
  const kept = () =>
    Object.fromEntries(
      readdirSync(path('bad.tsv.resume')).map((name) => [
        name,
        readFileSync(path(`bad.tsv.resume/${name}`)).toString('hex'),
      ]),
    )
  const again = (...more: string[]) =>
    command(['classify', '-m', path('both'), '-o', path('bad.tsv'), '--resume', ...more, path('bad.fa')])

  test('keeps what was computed and says so; another input, model or flag is refused (73), with nothing touched', async () => {
    const good = Array.from({ length: 40 }, (_, i) => `>r${i}\n${'ACGTT'.repeat(30 + i)}\n`).join('')
    writeFileSync(path('bad.fa'), `${good}>bad\nACGTMKVLQEIP\n`)
    const first = await again('--chunk', '900')
    expect(first.code).toBe(65)
    expect(first.stderr).toMatch(
      /bad\.tsv\.resume keeps what was computed: the same command goes on from there\n.*record bad/,
    )
    expect(readdirSync(folder).filter((name) => name.startsWith('bad'))).toEqual(['bad.fa', 'bad.tsv.resume'])

    const { mtime, atime } = statSync(path('bad.fa'))
    const before = kept()
    const refused = async (why: RegExp, ...more: string[]) => {
      const { code, stderr } = await again(...more)
      expect(stderr).toMatch(why)
      expect(stderr.trim().split('\n')).toHaveLength(1)
      expect(code).toBe(73)
      expect(kept()).toEqual(before)
    }
    await refused(/is of another run: --chunk was 900; remove it to begin anew, or leave --resume out/)
    await refused(/--probabilities was not given/, '--chunk', '900', '--probabilities')
    await refused(/the inputs were others/, '--chunk', '900', path('bad.fa'))
    utimesSync(path('bad.fa'), atime, new Date(+mtime + 1000))
    await refused(/bad\.fa has changed/, '--chunk', '900')
    writeFileSync(path('bad.fa'), good)
    utimesSync(path('bad.fa'), atime, mtime)
    await refused(/bad\.fa has changed/, '--chunk', '900')
    const { spec } = models.both
    await saveCheckpoint(path('both'), spec, randomWeights(spec, 7))
    await refused(/the model has changed/, '--chunk', '900')
    await saveCheckpoint(path('both'), spec, randomWeights(spec))

    // Without --resume the folder is nobody's business.
    const without = await command(['classify', '-q', '-m', path('both'), '-o', path('bad.tsv'), path('bad.fa')])
    expect([without.code, kept()]).toEqual([0, before])
  })

  test('by a signal says so, too', { timeout: 60_000 }, async () => {
    const kind = kinds['classify, many records']
    const place = emptyPlace()
    const { child, ended } = start(lineOf(kind, place), place, 2)
    while (keptIn(place) === '') await sleep(5)
    child.kill('SIGINT')
    const { code, stderr } = await ended
    expect(code).toBe(130)
    const kept = join(place, 'out.tsv.gz.resume')
    expect(stderr).toBe(`longwave: ${kept} keeps what was computed: the same command goes on from there\n`)
    expect(readdirSync(place)).toEqual(['out.tsv.gz.resume'])
  })

  test('needs an output that stays (2), and a folder that is its own (73)', async () => {
    const { code, stderr } = await command(['classify', '-m', 'origin', '--resume', path('reads.fa')])
    expect([code, stderr]).toEqual([2, 'longwave: --resume needs a file for the output: -o FILE\n'])
    mkdirSync(path('own.tsv.resume'))
    writeFileSync(path('own.tsv.resume/thesis.txt'), 'all of it')
    const own = await command(['classify', '-m', 'origin', '--resume', '-o', path('own.tsv'), path('reads.fa')])
    expect(own.stderr).toMatch(/own\.tsv\.resume: holds thesis\.txt, which --resume did not make\n$/)
    expect([own.code, readdirSync(path('own.tsv.resume'))]).toEqual([73, ['thesis.txt']])
  })
})
