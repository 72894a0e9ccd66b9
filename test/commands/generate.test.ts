import { spawn } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import type { ModelSpec } from '../../src/spec.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { cleanEnv, shell, temporaryFolder } from '../shell/run.js'
import { characters, spelledGolden } from './characters.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)

beforeAll(async () => {
  const spec: ModelSpec = { ...tinySpec('mamba'), head: { kind: 'tokens', tied: true } }
  await saveCheckpoint(path('dna'), spec, randomWeights(spec))
  const both: ModelSpec = { ...tinySpec('add'), head: { kind: 'tokens', tied: true } }
  await saveCheckpoint(path('both'), both, randomWeights(both))
  const text: ModelSpec = { ...spec, input: { kind: 'tokens', tokenizer: 'ids', vocab_size: 367 } }
  await saveCheckpoint(path('text'), text, randomWeights(text))
  cpSync(join(packageRoot, 'test/specimens/text/byte-level.json'), path('text/tokenizer.json'))
})

const generate = async (model: string, args: string[], input?: string) => {
  const { code, stdout, stderr } = await command(['generate', '-q', '-m', model, ...args], { input })
  expect([code, stderr]).toEqual([0, ''])
  return stdout.toString()
}

describe.each(['hf-mamba', 'hf-falcon-mamba'])('%s', (name) => {
  test('greedy tokens are those of transformers', async () => {
    const all = await spelledGolden(name, path(name))
    const spelled = all.map((id) => characters[id]).join('')
    const [prompt, rest] = [spelled.slice(0, 5), spelled.slice(5)]
    expect(await generate(path(name), ['--prompt', prompt, '--max-tokens', '8'])).toBe(`${rest}\n`)
    // The id that ends a text, here one of those that come, is not written.
    writeFileSync(path(`${name}/generation_config.json`), JSON.stringify({ eos_token_id: [all[5 + 3]] }))
    const end = rest.slice(0, rest.indexOf(characters[all[5 + 3]]))
    const [row] = [JSON.parse(await generate(path(name), ['--prompt', prompt, '--max-tokens', '8', '-f', 'jsonl']))]
    expect(row).toEqual({ id: 'prompt', prompt_tokens: 5, tokens: end.length, finish: 'end', text: end })
  })
})

describe('many prompts', () => {
  const prompts = Array.from({ length: 40 }, (_, i) => 'ACGTTGCA'.repeat(1 + (i % 7)).slice(i % 5))
  const settings = ['--max-tokens', '13', '--temperature', '1', '--top-p', '0.95', '--repetition-penalty', '1.1']

  test('have what each has alone, whatever the threads and the chunk, in their order', async () => {
    const together = await generate(path('dna'), settings, prompts.join('\n'))
    const lines = together.trimEnd().split('\n')
    expect(lines.length).toBe(40)
    for (const line of lines) expect(line).toMatch(/^[ACGT]{13}$/)
    for (const i of [0, 7, 23])
      expect(await generate(path('dna'), [...settings, '--prompt', prompts[i]])).toBe(`${lines[i]}\n`)
    for (const how of [
      ['-t', '2'],
      ['--chunk', '1'],
      ['--chunk', '5', '-t', '2'],
      ['-d', 'cpu'],
    ])
      expect(await generate(path('dna'), [...settings, ...how], prompts.join('\n'))).toBe(together)
    const other = await generate(path('dna'), [...settings, '--seed', '2'], prompts.join('\n'))
    expect(other).not.toBe(together)
  })

  test('of DNA are lines, records or one; FASTA and JSON lines come out', async () => {
    const expected = await generate(path('dna'), ['--prompt', 'ACGUN', '--max-tokens', '70'])
    writeFileSync(path('p.fa'), '>one x\nACG\nTR\n>two\nGG\n')
    const fasta = await generate(path('dna'), ['--prompt-file', path('p.fa'), '--max-tokens', '70', '-f', 'fasta'])
    const [one, two] = fasta.split('>').slice(1)
    expect(one).toBe(`one\n${expected.slice(0, 60)}\n${expected.slice(60)}`)
    expect(two).toMatch(/^two\n[ACGT]{60}\n[ACGT]{10}\n$/)
    await generate(path('dna'), ['--prompt-file', path('p.fa'), '-o', path('out.jsonl'), '--max-tokens', '3'])
    const rows = readFileSync(path('out.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(rows[0]).toEqual({ id: 'one', prompt_tokens: 5, tokens: 3, finish: 'length', text: expected.slice(0, 3) })
    expect(rows[1].id).toBe('two')
  })

  test('of text are written to their last whole character, until a stop', async () => {
    const input = '{"id":"a","text":"Hello\\nworld"}\n{"text":"Grüße"}\n{"text":""}\n'
    const args = ['--max-tokens', '60', '--temperature', '1.5', '-f', 'jsonl']
    const { code, stdout, stderr } = await command(['generate', '-m', path('text'), ...args], { input })
    const rows = stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect([code, rows.map(({ id, finish }) => [id, finish])]).toEqual([
      0,
      [
        ['a', 'length'],
        ['2', 'length'],
      ],
    ])
    expect(stderr).toMatch(/2 records {2}120 tokens .*left out: 1 empty/)
    const { text } = rows[0]
    const stop = text.slice(10, 13)
    const stopped = await generate(path('text'), [...args, '--stop', 'never there', '--stop', stop], input)
    expect(JSON.parse(stopped.split('\n')[0])).toMatchObject({
      finish: 'stop',
      text: text.slice(0, text.indexOf(stop)),
    })
  })
})

test('what cannot be is refused in one line', async () => {
  for (const [args, code, message] of [
    [['-m', path('both'), '--prompt', 'A'], 2, /does not predict the next token; longwave train next-base/],
    [['-m', 'origin', '--prompt', 'A'], 2, /does not predict the next token/],
    [['-m', path('dna'), '--prompt', ''], 2, /--prompt is empty/],
    [['-m', path('dna'), '--prompt', 'A', '--stop', ''], 2, /--stop is empty/],
    [['-m', path('dna'), '--prompt', 'MKLV'], 65, /record prompt, line 1: expected letters of DNA/],
    [['-m', path('dna'), '--prompt-file', path('none')], 66, /none: no such file/],
    [['-m', path('text'), '--prompt', 'A', '-f', 'fasta'], 2, /FASTA holds DNA, but this model writes text/],
    [['-m', path('dna'), '--prompt', 'A', '--temperature', '-1'], 2, /expected a number from 0 to 100/],
    [['-m', path('dna'), '--prompt', 'A', '--prompt-file', 'x'], 2, /prompt/],
  ] as const) {
    const ended = await command(['generate', ...args], { input: '' })
    expect([ended.code, ended.stderr]).toEqual([code, expect.stringMatching(message)])
  }
  const { code, stdout } = await command(['generate', '-m', path('dna'), '--prompt', 'A', '--dry-run'])
  expect([code, stdout.toString()]).toEqual([0, expect.stringMatching(/sequences +read in pieces/)])
})

describe('as a process', () => {
  const endless = ['generate', '-m', 'bases', '--prompt', 'ACGTTGCA', '--temperature', '1', '--max-tokens', '1000000']

  test('it writes as it goes, and what is written when it is interrupted stays', async () => {
    const child = spawn(process.execPath, [join(packageRoot, 'bin/run.js'), ...endless], { env: cleanEnv() })
    const parts: Buffer[] = []
    child.stdout.on('data', (part: Buffer) => {
      parts.push(part)
      if (parts.length === 2) child.kill('SIGINT')
    })
    const code = await new Promise((resolve) => child.on('close', resolve))
    const text = Buffer.concat(parts).toString()
    expect([code, text.length > 1]).toEqual([130, true])
    const whole = await generate('bases', [...endless.slice(3, -1), String(text.length)])
    expect(whole).toBe(`${text}\n`)
  })

  test('it ends quietly when nobody reads on', async () => {
    const { code, stdout, stderr } = await shell(`set -o pipefail; longwave ${endless.join(' ')} -q | head -c 20`)
    expect([code, stdout.length, stderr]).toEqual([0, 20, ''])
  })
})
