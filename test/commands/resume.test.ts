import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import { randomWeights, seeded, tinySpec } from '../engine/models.js'
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

beforeAll(async () => {
  console.info(`runs are killed at random moments: LONGWAVE_CRASH_SEED=${seed}`)
  for (const [name, { spec }] of Object.entries(models)) await saveCheckpoint(path(name), spec, randomWeights(spec))
  const hears = { forward: randomAudioModel(letters, false), windows: randomAudioModel(letters, true) }
  for (const [name, { spec, weights }] of Object.entries(hears)) await saveCheckpoint(path(name), spec, weights)
  const random = seeded(5)
  const bases = (count: number) =>
    Buffer.alloc(count)
      .map(() => 'ACGT'.charCodeAt(4 * random()))
      .toString()
  const records = Array.from({ length: 500 }, (_, i) => `>r${i}\n${bases(200 + (i % 300))}\n`)
  writeFileSync(path('reads.fa'), records.join(''))
  const long = [60_000, 90, 40_000].map((length, i) => `>long${i}\n${bases(length)}\n`)
  writeFileSync(path('long.fa'), long.join(''))
  writeFileSync(path('speech.wav'), recordingOf(talk(120)))
  writeFileSync(path('more.wav'), recordingOf(talk(60)))
})

interface Kind {
  args: string[]
  inputs: string[]
  /** Outputs, the first of them by -o unless the arguments name it. */
  outputs: string[]
}

const kinds: Record<string, Kind> = {
  'classify, many records': {
    args: ['classify', '-m', 'origin', '-t', '2', '--report', 'REPORT'],
    inputs: ['reads.fa'],
    outputs: ['out.tsv.gz', 'REPORT'],
  },
  'classify, long records of a causal model': {
    args: ['classify', '-m', path('causal'), '-t', '2', '--chunk', '600', '--probabilities'],
    inputs: ['long.fa'],
    outputs: ['out.tsv'],
  },
  'embed, all rows of long records of a causal model': {
    args: ['embed', '-m', path('causal'), '-t', '1', '--chunk', '600', '--pool', 'none'],
    inputs: ['long.fa'],
    outputs: ['out.npy', 'out.npy.ids.tsv'],
  },
  'embed, all rows of long records of a model that reads both ways': {
    args: ['embed', '-m', path('both'), '-t', '2', '--chunk', '3000', '--pool', 'none'],
    inputs: ['long.fa'],
    outputs: ['out.npy', 'out.npy.ids.tsv'],
  },
  'embed, windows': {
    args: ['embed', '-m', 'origin', '-t', '2', '--window', '500', '--stride', '300'],
    inputs: ['long.fa'],
    outputs: ['out.jsonl.gz'],
  },
  'transcribe, a model that reads forward': {
    args: ['transcribe', '-m', path('forward'), '-t', '2', '-f', 'tsv', '--chunk', '200'],
    inputs: ['speech.wav', 'more.wav'],
    outputs: ['out.tsv'],
  },
  'transcribe, windows and a beam, into a folder': {
    args: ['transcribe', '-m', path('windows'), '-t', '2', '-f', 'srt', '--beam', '4', '--output-dir', 'texts'],
    inputs: ['speech.wav', 'more.wav'],
    outputs: ['texts/speech.srt', 'texts/more.srt'],
  },
}

let places = 0
const emptyPlace = () => {
  const place = path(`place${places++}`)
  mkdirSync(place)
  return place
}

const lineOf = ({ args, inputs, outputs }: Kind, ...more: string[]) => [
  ...args,
  ...(args.includes('--output-dir') ? [] : ['-o', outputs[0]]),
  '--resume',
  ...more,
  ...inputs.map(path),
]

/** Of a finished run. */
const filesIn = ({ outputs }: Kind, place: string) => outputs.map((output) => readFileSync(join(place, output)))

function start(
  line: string[],
  place: string,
): { child: ChildProcess; ended: Promise<{ code: number | null; stderr: string }> } {
  const child = spawn(process.execPath, [join(packageRoot, 'bin/run.js'), ...line], { cwd: place, env: cleanEnv() })
  let stderr = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, stderr }))) }
}

/** Starts a run and kills it after so many milliseconds; false: it was faster. */
async function killed(line: string[], place: string, milliseconds: number): Promise<boolean> {
  const { child, ended } = start(line, place)
  const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds)
  const { code } = await ended
  clearTimeout(timer)
  return code === null
}

const computedBefore = (stderr: string) => Number(/(\d+) of \d+ pieces were computed before/.exec(stderr)?.[1] ?? -1)

describe('a run that was killed ends as if it had not been', () => {
  test.each(Object.entries(kinds))('%s', { timeout: 180_000 }, async (_, kind) => {
    const random = seeded(seed + Object.values(kinds).indexOf(kind))
    const undisturbed = emptyPlace()
    const began = performance.now()
    const alone = await start(
      lineOf(kind).filter((arg) => arg !== '--resume'),
      undisturbed,
    ).ended
    expect(alone.code, alone.stderr).toBe(0)
    const whole = performance.now() - began
    const wanted = filesIn(kind, undisturbed)
    const place = emptyPlace()
    let kills = 0
    for (let turn = 0; turn < 3; turn++) {
      const more = turn % 2 ? ['-t', '1'] : []
      if (await killed(lineOf(kind, ...more), place, (0.3 + 0.6 * random()) * whole)) kills++
    }
    const { code, stderr } = await start(lineOf(kind), place).ended
    expect(code, stderr).toBe(0)
    if (kills > 0) expect(computedBefore(stderr), stderr).toBeGreaterThan(0)
    for (const [i, bytes] of filesIn(kind, place).entries()) expect(bytes.equals(wanted[i]), kind.outputs[i]).toBe(true)
    expect(readdirSync(place, { recursive: true }).map(String).sort()).toEqual(
      readdirSync(undisturbed, { recursive: true }).map(String).sort(),
    )
  })
})
