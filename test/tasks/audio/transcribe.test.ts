import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { saveCheckpoint } from '../../../src/checkpoints/own.js'
import { recordingOf } from '../../commands/talk.js'
import { seeded } from '../../engine/models.js'
import { command } from '../../run-command.js'
import { temporaryFolder } from '../../shell/run.js'
import { loudnessModel } from './models.js'

const folder = temporaryFolder()

/** 0.8 s of noise, a pause of so many seconds, and noise again, at 8 kHz. */
function twice(pause: number): number[] {
  const random = seeded(5)
  const length = 8000 * (pause + 1.6)
  const loud = (i: number) => i < 6400 || i >= length - 6400
  return Array.from({ length }, (_, i) => Math.round((loud(i) ? 9000 : 3) * (2 * random() - 1)))
}

test.each([
  [false, 0.6, 'haha'],
  [false, 2.5, 'ha ha'],
  [true, 0.6, 'haha'],
  [true, 2.5, 'haha'],
])('only what is read as it comes ends its words in pauses (both ways: %s, %f s)', async (both, pause, expected) => {
  const { spec, weights } = loudnessModel('ha', both)
  await saveCheckpoint(join(folder, `${both}`), spec, weights)
  writeFileSync(join(folder, 'twice.wav'), recordingOf(twice(pause)))
  const { stdout } = await command(['transcribe', '-q', '-m', join(folder, `${both}`), join(folder, 'twice.wav')])
  expect(stdout.toString().trim()).toBe(expected)
})
