import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import type { HeadSpec } from '../../src/spec.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'
import { letters, randomAudioModel } from '../tasks/audio/models.js'
import { recordingOf, talk } from './talk.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)

/** Two seconds of a voice, two of zeros, and two of a voice. */
const interrupted = () => [...talk(2), ...new Array<number>(16_000).fill(0), ...talk(2)]

beforeAll(async () => {
  const classes: HeadSpec = { kind: 'classes', labels: ['rain', 'dog', 'bell'], pool: 'mean' }
  for (const [name, head] of Object.entries({ speech: letters, sounds: classes })) {
    const { spec, weights } = randomAudioModel(head, false)
    await saveCheckpoint(path(name), spec, weights)
  }
  writeFileSync(path('zeros.wav'), recordingOf(new Array<number>(16_000).fill(0)))
  writeFileSync(path('talk.wav'), recordingOf(interrupted()))
})

test('a window in which nothing is heard has no label, and is counted', async () => {
  const { stdout, stderr } = await command(['classify', '-m', path('sounds'), '--window', '2', path('talk.wav')])
  const labels = stdout
    .toString()
    .trim()
    .split('\n')
    .slice(1)
    .map((row) => row.split('\t')[3])
  expect(labels.map((label) => label === 'unclassified')).toEqual([false, true, false])
  expect(stderr).toMatch(/; unclassified: 1 silent\n$/)
})

test('nothing is said where nothing is heard, and a recording without words is counted', async () => {
  const run = (name: string) => command(['transcribe', '-m', path('speech'), '-f', 'json', path(name)])
  const silent = await run('zeros.wav')
  expect(JSON.parse(silent.stdout.toString())).toEqual([])
  expect(silent.stderr).toMatch(/; left out: 1 in which nothing is said\n$/)
  const { stdout, stderr } = await run('talk.wav')
  const words = JSON.parse(stdout.toString()).flatMap((line: { words: unknown[] }) => line.words)
  expect(words.length).toBeGreaterThan(0)
  for (const { start, end } of words) expect(end < 2.11 || start > 3.89 || start < 2 || end > 4).toBe(true)
  expect(stderr).not.toMatch(/nothing is said/)
})
