import { describe, expect, test } from 'vitest'
import {
  audioProgress,
  Progress,
  progressStyle,
  progressText,
  pullProgress,
  quantity,
} from '../../src/shell/progress.js'
import { clock } from '../../src/text/clock.js'

const terminal = (columns = 80) => ({ isTTY: true, columns }) as NodeJS.Process['stderr'] & NodeJS.Process['stdout']
const file = {} as NodeJS.Process['stderr'] & NodeJS.Process['stdout']

describe('where progress goes', () => {
  test.each([
    ['a terminal', {}, false, { stderr: terminal(), stdout: file, env: {} }, 'live'],
    ['a terminal of no width', {}, false, { stderr: terminal(0), stdout: file, env: {} }, 'plain'],
    ['a dumb terminal', {}, false, { stderr: terminal(), stdout: file, env: { TERM: 'dumb' } }, 'plain'],
    ['CI', {}, false, { stderr: terminal(), stdout: file, env: { CI: 'true' } }, 'plain'],
    ['a log file', {}, false, { stderr: file, stdout: file, env: {} }, 'plain'],
    ['the terminal the data goes to', {}, true, { stderr: terminal(), stdout: terminal(), env: {} }, 'summary'],
    ['a terminal beside a pipe of data', {}, true, { stderr: terminal(), stdout: file, env: {} }, 'live'],
    ['--no-progress', { progress: false }, false, { stderr: terminal(), stdout: file, env: {} }, 'summary'],
    ['--quiet', { quiet: true, progress: true }, false, { stderr: terminal(), stdout: file, env: {} }, 'quiet'],
  ])('%s', (_, flags, dataToStdout, where, style) => {
    expect(progressStyle(flags, dataToStdout, where)).toBe(style)
  })
})

async function lines(style: 'plain' | 'summary' | 'quiet'): Promise<string[]> {
  const printed: string[] = []
  let time = 0
  const progress = await Progress.start(
    style,
    (line) => printed.push(line),
    () => time,
  )
  for (let i = 0; i <= 70; i++) {
    time = i * 1000
    progress.tick(() => `${i} records`)
  }
  progress.note('a warning')
  progress.done('71 records in all')
  return printed
}

test('plain lines come at most every 30 s, and the last one always', async () => {
  expect(await lines('plain')).toEqual(['30 records', '60 records', 'longwave: a warning', '71 records in all'])
  expect(await lines('summary')).toEqual(['longwave: a warning', '71 records in all'])
  expect(await lines('quiet')).toEqual([])
})

test('the text has counts, rate and the time left', () => {
  const work = { unit: 'bp', tokens: 41_200_000, seconds: 13.3 } as const
  expect(progressText({ ...work, records: 12, totalRecords: 300 })).toBe(
    '12/300 records  41.2 Mbp  3.10 Mbp/s  4 %  ETA 5:19',
  )
  expect(progressText({ ...work, records: 1, fraction: 0.24 })).toBe('1 record  41.2 Mbp  3.10 Mbp/s  24 %  ETA 0:42')
  expect(progressText({ ...work, records: 300, totalRecords: 300 })).toBe('300/300 records  41.2 Mbp  3.10 Mbp/s')
  expect(audioProgress(2, 8, 3723, 43.7)).toBe('2/8 files  1:02:03 of audio  85.2 x real time  25 %  ETA 2:11')
  expect(audioProgress(1, 1, 60, 1)).toBe('1 file  1:00 of audio  60 x real time')
})

test('the text of a pull counts its speed from where it went on', () => {
  const pulled = { bytes: 300e6, total: 500e6, came: 100e6, seconds: 4 }
  expect(pullProgress('org/name', pulled)).toBe('org/name  300 MB of 500 MB  25.0 MB/s  60 %  ETA 0:08')
  expect(pullProgress('org/name', { ...pulled, came: 0 })).toBe('org/name  300 MB of 500 MB')
  expect(pullProgress('org/name', { ...pulled, bytes: 500e6 })).toBe('org/name  500 MB of 500 MB  25.0 MB/s  100 %')
})

test.each([
  [0, '0 bp'],
  [999.4, '999 bp'],
  [999.6, '1.00 kbp'],
  [999_499, '999 kbp'],
  [999_999, '1.00 Mbp'],
  [4_641_652, '4.64 Mbp'],
  [3.1e9, '3.10 Gbp'],
])('%d is %s', (value, text) => expect(quantity(value, 'bp')).toBe(text))

test.each([
  [0.4, '0:00'],
  [61, '1:01'],
  [3599.6, '1:00:00'],
  [90_061, '25:01:01'],
])('%d s is %s', (seconds, text) => expect(clock(seconds)).toBe(text))
