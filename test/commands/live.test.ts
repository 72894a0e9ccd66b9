import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'
import { letters, randomAudioModel } from '../tasks/audio/models.js'
import { recordingOf, talk } from './talk.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)
const rate = 8000
const recordings = { brief: recordingOf(talk(25)), longer: recordingOf(talk(60)) }
const models = {
  forward: randomAudioModel(letters, false),
  both: randomAudioModel(letters, true),
}

beforeAll(async () => {
  for (const [name, { spec, weights }] of Object.entries(models)) await saveCheckpoint(path(name), spec, weights)
  for (const [name, wav] of Object.entries(recordings)) writeFileSync(path(name), wav)
})

interface Word {
  text: string
  start: number
  end: number
}

interface Line extends Word {
  words: Word[]
}

/**
 * Gives the recording half a second at a time, and nothing more before all that was said `lag` seconds ago is written:
 * time is that of the audio, however fast this machine is. `due`: what must be there when so much has been said.
 */
const paced = (wav: Buffer, lag: number, due: (seconds: number) => string) =>
  async function* (stdout: () => Buffer): AsyncGenerator<Uint8Array> {
    const [header, block] = [44, rate]
    yield wav.subarray(0, header)
    for (let at = header; at < wav.length; at += block) {
      yield wav.subarray(at, at + block)
      const fed = Math.min(wav.length, at + block) - header
      const expected = due(fed / (2 * rate) - lag)
      for (let waited = 0; !stdout().toString().startsWith(expected); waited++) {
        if (waited > 2000) throw new Error(`${lag} s behind, '${expected}' is not there but '${stdout()}'`)
        await setTimeout(5)
      }
    }
  }

test.each([
  ['forward', 5, 'brief', ['-t', '2']],
  ['forward', 5, 'brief', ['-t', '1', '--beam', '4']],
  ['both', 35, 'longer', ['-t', '3']],
] as const)(
  '%s: what was said %i s ago is written, and the same text in the end (%s, %s)',
  async (model, lag, name, args) => {
    const run = async (format: string, due?: (seconds: number) => string) => {
      const input = due && paced(recordings[name], lag, due)
      const flags = ['transcribe', '-q', '-m', path(model), '-f', format, ...args, input ? '-' : path(name)]
      const { code, stdout, stderr } = await command(flags, { input })
      expect([stderr, code]).toEqual(['', 0])
      return stdout.toString()
    }
    const lines: Line[] = JSON.parse(await run('json'))
    const words = lines.flatMap((line) => line.words)
    expect([words.length > 15, lines.length > 3]).toEqual([true, true])

    const text = (said: Word[]) => said.map((word) => word.text).join(' ')
    expect(await run('txt', (seconds) => text(words.filter(({ end }) => end <= seconds)))).toBe(`${text(words)}\n`)

    const table = (said: Line[]) =>
      [
        ['path', 'start', 'end', 'text'],
        ...said.map(({ start, end, text }) => ['-', start.toFixed(3), end.toFixed(3), text]),
      ]
        .map((row) => `${row.join('\t')}\n`)
        .join('')
    // A line that no pause ends is over with the first word of the next one.
    const over = lines.map(({ end }, i) => {
      const next = lines[i + 1]?.words[0]
      return next && next.start - end < 0.8 ? next.end : end
    })
    const due = (seconds: number) => {
      const said = lines.filter((_, i) => over[i] <= seconds)
      return said.length === 0 ? '' : table(said)
    }
    expect(await run('tsv', due)).toBe(table(lines))
  },
)
