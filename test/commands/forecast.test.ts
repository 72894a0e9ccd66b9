import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'
import { readGolden } from '../golden-run/expected.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)
const golden = join(packageRoot, 'test/golden/flowstate-r1.1')
const forecast = (args: string[], input?: string) => command(['forecast', '-q', '-m', golden, ...args], { input })

/** Days from 1 January 2024. */
const daily = (values: readonly (number | string)[]) =>
  values.map((value, i) => `${new Date(Date.UTC(2024, 0, 1 + i)).toISOString().slice(0, 10)},${value}\n`).join('')

describe('longwave forecast', () => {
  test('gives what the official code gives, in each format', async () => {
    const expected = await readGolden(join(golden, 'expected.safetensors'))
    const past = expected.get('pl100.past_values')!.data.subarray(0, 101)
    writeFileSync(path('past.csv'), `x\n${[...past].join('\n')}\n`)
    const json = await forecast(['--horizon', '100', '-f', 'json', path('past.csv')])
    expect([json.code, json.stderr]).toEqual([0, ''])
    const rows: Record<string, number | string>[] = JSON.parse(json.stdout.toString())
    const [means, quantiles] = ['prediction', 'quantile'].map((name) => expected.get(`pl100.${name}_outputs`)!.data)
    expect(rows.length).toBe(100)
    for (const [h, row] of rows.entries()) {
      expect([row.series, row.time]).toEqual(['x', String(102 + h)])
      expect(row.mean).toBeCloseTo(means[h], 3)
      for (let q = 1; q <= 9; q++) expect(row[`q${q / 10}`]).toBeCloseTo(quantiles[(q - 1) * 100 + h], 3)
    }
    const csv = await forecast(['--horizon', '100', path('past.csv')])
    const [header, ...lines] = csv.stdout.toString().trim().split('\n')
    expect(header).toBe('series,time,mean,q0.1,q0.2,q0.3,q0.4,q0.5,q0.6,q0.7,q0.8,q0.9')
    expect(lines).toEqual(rows.map((row) => Object.values(row).join(',')))
    expect((await forecast(['-o', path('out.tsv'), path('past.csv')])).code).toBe(0)
    expect(readFileSync(path('out.tsv'), 'utf8').split('\n').length).toBe(1 + 24 + 1)
  })

  test('several series do not disturb each other, whatever the threads, and one of them can be asked for', async () => {
    const values = Array.from({ length: 40 }, (_, i) => `${Math.sin(i / 3)},"${(50 - i).toFixed(1)}"`)
    const table = `date,a,"b, too"\n${daily(values)}`
    const both = (await forecast(['--horizon', '3'], table)).stdout.toString()
    expect(both).toContain('\n"b, too",2024-02-10,')
    expect((await forecast(['--horizon', '3', '-t', '2'], table)).stdout.toString()).toBe(both)
    const one = (await forecast(['--horizon', '3', '--column', 'b, too'], table)).stdout.toString()
    const [header, ...lines] = both.split('\n')
    expect(one.split('\n')).toEqual([header, ...lines.slice(3)])
  })

  test('a step that is missing is an empty cell', async () => {
    const values = [3, 1, 4, 1, 5, '', 2, 6, 5, 3]
    const whole = daily(values)
    const lacking = whole.replace(/^.*,\n/m, '')
    expect(lacking).not.toBe(whole)
    const { stdout } = await forecast(['--horizon', '2'], whole)
    expect((await forecast(['--horizon', '2'], lacking)).stdout).toEqual(stdout)
    expect(stdout.toString()).toContain('\n2,2024-01-11,')
  })

  test('--season stretches the steps', async () => {
    const table = `x\n${Array.from({ length: 30 }, (_, i) => i % 7).join('\n')}\n`
    const steps = async (season: string) =>
      (await forecast(['--season', season], table)).stdout.toString().split('\n').length - 2
    expect([await steps('24'), await steps('7'), await steps('96'), await steps('1')]).toEqual([24, 7, 96, 1])

    cpSync(golden, path('short'), { recursive: true })
    const config = JSON.parse(readFileSync(path('short/config.json'), 'utf8'))
    writeFileSync(path('short/config.json'), JSON.stringify({ ...config, decoder_patch_len: 12 }))
    const { code, stderr } = await command(['forecast', '-m', path('short'), '--season', '1'], { input: table })
    const line = '--season 1: one step is longer than the 12 that this model foretells, of 24 in a season'
    expect([code, stderr]).toEqual([2, `longwave: ${line}\n`])
  })

  const refused: [table: string, line: string][] = [
    ['x\n1\ntwo\n', "stdin: line 3: column 'x': 'two', expected a number or nothing"],
    ['x\n1\nInfinity\n', "stdin: line 3: column 'x': 'Infinity', expected a number or nothing"],
    ['x,y\n1,2\n\n3\n', 'stdin: line 4: 1 cells, expected 2'],
    ['', 'stdin: is empty, expected a table of numbers'],
    ['x\n', 'stdin: has a header and no rows'],
    ['"x\n1\n', 'stdin: line 1: a quote that is not closed'],
    ['x\nNA\n\nnan\n', "series 'x' has no values"],
    ['t,x\n2024-01-02,1\n2024-01-01,2\n', 'stdin: line 3: 2024-01-01 does not come after 2024-01-02'],
    ['t,x\n2024-01-01,1\nlater,2\n', "stdin: line 3: 'later', expected a date such as 2024-05-31 or a number"],
    ['t,x\n2024-02-30,1\n', "stdin: line 2: '2024-02-30', expected a date such as 2024-05-31 or a number"],
    ['2024-01-01\n2024-01-02\n', 'stdin: has no column of numbers'],
    ['x\n1e308\n-1e308\n1e308\n', "series 'x': its numbers are too large"],
    [`x\n5\n${'NaN\n'.repeat(3000)}`, "series 'x' has no values in the last 2048 steps, which the model reads"],
    ['1\n'.repeat(5_000_001), 'stdin: more than 5,000,000 cells, expected a table of series'],
    [
      't,x\n2024-01-01T00:00:00,1\n2024-01-01T00:00:01,2\n2024-03-01T00:00:00,3\n',
      'stdin: line 4: the times have no step in common: 5184001 steps for 3 rows',
    ],
  ]
  test.each(refused.map(([table, line]) => [line, table] as const))('%s', async (line, table) => {
    const out = path('refused.csv')
    const { code, stdout, stderr } = await forecast(['-o', out], table)
    expect([code, stdout.toString(), stderr]).toEqual([65, '', `longwave: ${line}\n`])
    expect(existsSync(out)).toBe(false)
  })

  test('usage errors, and models that do something else', async () => {
    const table = 'x\n1\n2\n'
    const far = await forecast(['--horizon', '9000'], 'year,x\n2000-01-01,1\n2001-01-01,2\n')
    const line = 'longwave: dates behind the year 9999 cannot be written: a smaller --horizon\n'
    expect([far.code, far.stdout.length, far.stderr]).toEqual([2, 0, line])
    expect((await forecast(['--column', 'y'], table)).stderr).toBe("longwave: no column 'y'; there are 'x'\n")
    const other = await command(['forecast', '-m', 'bases'], { input: table })
    expect([other.code, other.stderr]).toEqual([2, 'longwave: this model does not forecast; FlowState does\n'])
    const embed = await command(['embed', '-m', golden, '-f', 'jsonl'], { input: '>a\nACGT\n' })
    expect([embed.code, embed.stderr]).toEqual([2, 'longwave: this model reads series of numbers: longwave forecast\n'])
  })
})
