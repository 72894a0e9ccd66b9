import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exitCodes } from '../../src/errors.js'
import { packageRoot } from '../../src/runtime/package-root.js'

const page = join(packageRoot, 'man/longwave.1')
const { commands } = JSON.parse(readFileSync(join(packageRoot, 'oclif.manifest.json'), 'utf8'))

test('the page has every command, flag and exit code, and it is of this version', () => {
  const text = readFileSync(page, 'utf8').replaceAll('\\-', '-')
  for (const [id, { flags }] of Object.entries<{ flags: Record<string, { allowNo?: boolean }> }>(commands)) {
    expect(text).toContain(`.SS "longwave ${id.replaceAll(':', ' ')}"`)
    for (const [flag, { allowNo }] of Object.entries(flags))
      expect(text).toContain(`--${allowNo ? '[no-]' : ''}${flag}`)
  }
  for (const code of Object.values(exitCodes)) expect(text).toMatch(new RegExp(`^\\.B ".*\\b${code}\\b`, 'm'))
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'))
  expect(text).toContain(`"longwave ${version}"`)
})

const man = spawnSync('man', ['--version'], { encoding: 'utf8' }).stdout?.startsWith('man 2') ?? false

test.skipIf(!man)('man shows it without a warning', () => {
  const env = { PATH: process.env.PATH, MANWIDTH: '80', LC_ALL: 'C.UTF-8' }
  const { stdout, stderr } = spawnSync('man', ['--warnings', '-l', page], { env, encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(stdout).toContain('-m, --model NAME|FOLDER')
  expect(stdout).toContain('zcat reads.fq.gz | longwave classify -m origin --min-score 0.8')
  expect(execFileSync('man', ['-l', page], { env, encoding: 'utf8' })).not.toMatch(/\\|<%|undefined|\[object/)
})
