import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import type { ModelSpec } from '../../src/spec.js'
import { gpu } from '../backends/has-gpu.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'
import { characters, spelledGolden } from './characters.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)

/** The rows that a command gives on a device. */
async function rowsOn(device: 'cpu' | 'webgpu', args: string[], input: string): Promise<unknown[]> {
  const { code, stdout, stderr } = await command([...args, '-q', '-d', device], { input })
  expect([code, stderr]).toEqual([0, ''])
  if (args.at(-1) === 'json') return JSON.parse(stdout.toString())
  const lines = stdout.toString().trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line))
}

/** The same, but for numbers, which may differ by a ten-thousandth. */
function expectClose(got: unknown, wanted: unknown): void {
  if (typeof wanted === 'number') {
    expect(Math.abs((got as number) - wanted)).toBeLessThan(1e-4 * Math.max(1, Math.abs(wanted)))
  } else if (typeof wanted === 'object' && wanted !== null) {
    expect(Object.keys(got as object)).toEqual(Object.keys(wanted))
    for (const [key, value] of Object.entries(wanted)) expectClose((got as Record<string, unknown>)[key], value)
  } else expect(got).toBe(wanted)
}

const dna = (length: number) => Array.from({ length }, (_, i) => 'ACGT'[(i * i + (i >> 2)) % 4]).join('')
const fasta = `>a\n${dna(40)}\n>b\nNN${dna(7)}\n`
const table = `x\n${Array.from({ length: 60 }, (_, i) => Math.sin(i / 3).toFixed(4)).join('\n')}\n`

describe.skipIf(!gpu)('on webgpu as on cpu', () => {
  let greedy: string
  beforeAll(async () => {
    greedy = (await spelledGolden('hf-mamba', path('text'))).map((id) => characters[id]).join('')
    const spec: ModelSpec = { ...tinySpec('mamba'), head: { kind: 'tokens', tied: true } }
    await saveCheckpoint(path('next'), spec, randomWeights(spec))
  })

  // More than there are slots, some of which are read in pieces.
  test('generate goes on as the official code does, and behind many prompts', async () => {
    const others = Array.from({ length: 19 }, (_, i) => greedy.slice(i % 5, 1 + (i % 5) + ((7 * i) % 8)))
    const prompts = [greedy.slice(0, 5), ...others].join('\n')
    const args = ['generate', '-m', path('text'), '--max-tokens', '8', '--chunk', '24', '-f', 'jsonl']
    const rows = await rowsOn('webgpu', args, prompts)
    expect(rows[0]).toMatchObject({ prompt_tokens: 5, tokens: 8, text: greedy.slice(5) })
    expect(rows).toHaveLength(20)
    expect(rows).toEqual(await rowsOn('cpu', args, prompts))
  })

  test.each([
    ['score by the next base', ['score', '-m', path('next'), '-f', 'json'], fasta],
    ['score by masked bases', ['score', '-m', 'test/golden/caduceus-ps', '-f', 'json'], fasta],
    ['embed of text', ['embed', '-m', path('text'), '-f', 'jsonl'], 'Hello\nworld'],
    ['forecast', ['forecast', '-m', 'test/golden/flowstate-r1.1', '--horizon', '4', '-f', 'json'], table],
  ])('%s', async (_, args, input) => {
    const wanted = await rowsOn('cpu', args, input)
    expect(wanted.length).toBeGreaterThan(1)
    expectClose(await rowsOn('webgpu', args, input), wanted)
  })
})
