import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { refuseOverlap } from '../../src/output/overlap.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { shell, temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const at = (name: string) => join(folder, name)
const fasta = '>a\nACGT\n>b\nGGTA\n'

beforeAll(async () => {
  await saveCheckpoint(at('model'), tinySpec('mamba'), randomWeights(tinySpec('mamba')))
  mkdirSync(at('sub'))
  symlinkSync('.', at('here'))
  for (const name of ['link.fa', 'link.tsv']) symlinkSync(name.replace('link', 'in'), at(name))
  writeFileSync(at('in.fa'), fasta)
  linkSync(at('in.fa'), at('hard.fa'))
  writeFileSync(at('x.npy.ids.tsv'), fasta)
  writeFileSync(at('list'), 'in.fa\n')
})
beforeEach(() => writeFileSync(at('in.fa'), fasta))

/** In the folder of this test; what redirects is for a shell. */
const run = (line: string) =>
  /[<>]/.test(line) ? shell(`cd "${folder}"; ${line}`) : command(line.split(' ').slice(1), { cwd: folder })

const refused: [string, string, RegExp][] = [
  ['one file for data and report', 'longwave classify -m model -o x --report x in.fa', /--report x is the same file as -o x/],
  ['another spelling', 'longwave classify -m model -o x --report sub/../x in.fa', /--report sub\/\.\.\/x is the same/],
  ['a folder behind a link', 'longwave classify -m model -o x --report here/x in.fa', /--report here\/x is the same/],
  ['a link to nothing yet', 'longwave classify -m model -o in.tsv --report link.tsv in.fa', /--report link\.tsv is the same/],
  ['standard output twice', 'longwave classify -m model -o - --report - in.fa', /-o - and --report - are both standard output/],
  ['standard output by another name', 'longwave classify -m model --report /dev/stdout in.fa', /both standard output/],
  ['the input', 'longwave classify -m model -o ./in.fa --force in.fa', /-o \.\/in\.fa is the same file as the input in\.fa/],
  ['a link to the input', 'longwave embed -m model -f jsonl -o link.fa --force in.fa', /-o link\.fa is the same file as the input/],
  ['a second name of the input', 'longwave classify -m model -o hard.fa --force in.fa', /-o hard\.fa is the same file as the input/],
  ['standard input from the file', 'longwave classify -m model -o in.fa --force < in.fa', /-o in\.fa is the same file as standard input/],
  ['a file of --infile-list', 'longwave classify -m model -o in.fa --force --infile-list list', /-o in\.fa is the same file as the input/],
  ['the list', 'longwave classify -m model -o list --force --infile-list list', /-o list is the same file as --infile-list list/],
  ['a file of the model', 'longwave classify -m model -o model/config.json --force in.fa', /is the same file as the model file/],
  ['the ids beside .npy', 'longwave embed -m model -o x.npy --force x.npy.ids.tsv', /-o x\.npy\.ids\.tsv is the same/],
  ['standard output into the input', 'longwave classify -m model in.fa >> in.fa', /standard output is the same file as the input in\.fa/],
  ['standard output into another output', 'longwave classify -m model -o y in.fa > y', /standard output is the same file as -o y/],
  ['results into the table', 'longwave evaluate -m model --data in.fa --labels list >> list', /standard output is the same file as --labels/],
] // biome-ignore format: a table

describe('an output that is an input or another output is refused (2) before anything is read', () => {
  test.each(refused)('%s', async (_, line, message) => {
    const before = readdirSync(folder)
    const { code, stdout, stderr } = await run(line)
    expect(stderr).toMatch(message)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect([code, stdout.toString(), readFileSync(at('in.fa'), 'utf8')]).toEqual([2, '', fasta])
    const made = readdirSync(folder).filter((name) => !before.includes(name) && name !== 'y')
    expect(made).toEqual([])
    expect(lstatSync(at('link.tsv')).isSymbolicLink()).toBe(true)
  })

  test('devices and pipes may be named twice', async () => {
    expect((await run('longwave classify -q -m model -o /dev/null --report /dev/null in.fa > /dev/null')).code).toBe(0)
    const { code, stdout } = await run(
      'mkfifo pipe; cat pipe > got & longwave classify -q -m model -o pipe --report /dev/null < <(cat in.fa); r=$?; wait; cat got; exit $r',
    )
    expect(code).toBe(0)
    expect(stdout.toString()).toMatch(/^id\tlength/)
  })

  test('files of one name in different folders are different', async () => {
    const outputs = ['x', 'sub/x'].map((name) => ({ role: '-o', path: at(name) }))
    await expect(refuseOverlap(outputs, [{ role: 'the input', path: at('in.fa') }])).resolves.toBeUndefined()
  })
})
