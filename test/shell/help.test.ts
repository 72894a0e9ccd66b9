import { expect, test } from 'vitest'
import { helpPage } from '../../src/shell/help.js'

test.each([
  [[], '$ longwave [COMMAND]'],
  [['--help'], '$ longwave [COMMAND]'],
  [['help'], '$ longwave [COMMAND]'],
  [['help', 'train', 'classify'], '$ longwave train classify'],
  [['train', 'classify', '-h'], '$ longwave train classify'],
  [['models', '--help', '--json'], '$ longwave models COMMAND'],
])('%j has a page', (argv, usage) => {
  expect(helpPage(argv)).toContain(usage)
})

test.each([
  [['classify']],
  [['classify', 'x.fa', '--help']],
  [['classify', '-m', 'origin', '--help']],
  [['nope', '--help']],
  [['../help/classify', '--help']],
  [['help', '--nested-commands']],
])('%j is left to oclif', (argv) => {
  expect(helpPage(argv)).toBeNull()
})

test('a page is made for any machine', () => {
  expect(helpPage([])).not.toContain(process.version)
})
