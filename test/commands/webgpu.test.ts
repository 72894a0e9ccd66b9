import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'
import { gpu } from '../backends/has-gpu.js'
import { command } from '../run-command.js'
import { longwave, shell } from '../shell/run.js'

const folder = mkdtempSync(join(tmpdir(), 'longwave-webgpu-'))
afterAll(() => rmSync(folder, { recursive: true }))
const fragments = join(packageRoot, 'fixtures/fragments.fa')
const classify = ['classify', '-q', '-m', 'origin', '-d', 'webgpu', fragments]
const lastLine = (text: string) => text.trimEnd().split('\n').at(-1)

test.runIf(process.platform === 'linux')('without a driver: one line that says what to install, exit 69', async () => {
  const { code, stdout, stderr } = await longwave(classify, { env: { VK_ICD_FILENAMES: '/no/driver' } })
  expect([code, stdout.toString()]).toEqual([69, ''])
  expect(lastLine(stderr)).toMatch(/^longwave: the device webgpu found no GPU: .*libvulkan1/)
})

test('without the package: one line that says how to have it, exit 69', async () => {
  const hooks = join(folder, 'hooks.mjs')
  writeFileSync(
    hooks,
    `export const resolve = (name, context, next) => {
      if (name !== 'webgpu') return next(name, context)
      throw Object.assign(new Error('not there'), { code: 'ERR_MODULE_NOT_FOUND' })
    }`,
  )
  const register = join(folder, 'register.mjs')
  writeFileSync(register, `import { register } from 'node:module'\nregister(${JSON.stringify(`file://${hooks}`)})`)
  const { code, stdout, stderr } = await longwave(classify, { env: { NODE_OPTIONS: `--import=file://${register}` } })
  expect([code, stdout.toString()]).toEqual([69, ''])
  expect(stderr).toMatch(/^longwave: the device webgpu needs the npm package webgpu, which is not installed; .*\n$/)
})

describe.skipIf(!gpu)('webgpu', () => {
  test('origin gives the labels that it gives on cpu, and the process ends by itself', async () => {
    const labelsOf = (stdout: Buffer) =>
      [...stdout.toString().matchAll(/^(\S+)\t\d+\t(\S+)/gm)].map(([, ...row]) => row)
    const onGpu = await longwave([...classify, '--strand', '+'])
    expect([onGpu.code, onGpu.stderr]).toEqual([0, ''])
    const onCpu = await command(['classify', '-q', '-m', 'origin', '-d', 'cpu', '--strand', '+', fragments])
    expect(labelsOf(onGpu.stdout)).toHaveLength(12)
    expect(labelsOf(onGpu.stdout)).toEqual(labelsOf(onCpu.stdout))
  })

  // The bindings end the process if their thread is ended inside them.
  test.each([1.4, 2.4])('interrupted after %d s: exit 130 and nothing else', async (seconds) => {
    const many = Array.from({ length: 20 }, () => '"$ROOT/fixtures/fragments.fa"').join(' ')
    const line = `timeout --preserve-status -s INT ${seconds} "$NODE" "$ROOT/bin/run.js"`
    const { code, stderr } = await shell(`${line} classify -q -m origin -d webgpu ${many}`)
    expect([code, stderr]).toEqual([130, ''])
  })

  test('doctor names it', async () => {
    const { stdout } = await command(['doctor', '--json'])
    const found = JSON.parse(stdout.toString()).backends.find(({ name }: { name: string }) => name === 'webgpu')
    expect(found).toMatchObject({ state: 'available', detail: expect.stringMatching(/tensors of up to \d+ MiB; /) })
  })

  test('training there is an error, exit 69, and nothing is left', async () => {
    const data = join(folder, 'x.fa')
    const labels = join(folder, 'x.tsv')
    const ids = Array.from({ length: 8 }, (_, i) => `r${i}`)
    writeFileSync(data, ids.map((id, i) => `>${id}\n${(i % 2 ? 'ACGT' : 'GGCC').repeat(4)}\n`).join(''))
    writeFileSync(labels, `id\tlabel\n${ids.map((id, i) => `${id}\t${i % 2}\n`).join('')}`)
    const settings = join(folder, 'small.json')
    writeFileSync(settings, JSON.stringify({ layers: 1, d_model: 8, d_state: 2, batch: 4, shard: 4, epochs: 1 }))
    const { code, stderr } = await command(
      ['train', 'classify', '--data', data, '--labels', labels, '--valid', data, '--config', settings]
        .concat('--out', join(folder, 'model'), '-d', 'webgpu', '-q'),
    ) // biome-ignore format: a command line
    expect([code, stderr]).toEqual([69, 'longwave: the device webgpu cannot train: it has no gradients\n'])
    expect(existsSync(join(folder, 'model'))).toBe(false)
  })
})
