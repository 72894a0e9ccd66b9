import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, expect, test, vi } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { temporaryFolder } from '../shell/run.js'
import { documentedBlocks } from './commands.js'

const folder = temporaryFolder()
symlinkSync(join(packageRoot, 'fixtures'), join(folder, 'fixtures'))
cpSync(join(packageRoot, 'test/golden/hf-mamba'), join(folder, 'mamba-tiny'), { recursive: true })
cpSync(join(packageRoot, 'test/specimens/text/characters.json'), join(folder, 'mamba-tiny/tokenizer.json'))
const mixture = { ...tinySpec('mixture'), head: { kind: 'tokens', tied: true } as const }
mkdirSync(join(folder, 'mixture-tiny'))
await saveCheckpoint(join(folder, 'mixture-tiny'), mixture, randomWeights(mixture))
const genome = readFileSync(join(packageRoot, 'fixtures/fragments.fa'), 'utf8').replace(/^>.*\n|\n/gm, '')
writeFileSync(join(folder, 'genome.fa'), `>chr1\n${genome}\n`)
writeFileSync(join(folder, 'genome.fa.fai'), `chr1\t${genome.length}\t6\t${genome.length}\t${genome.length + 1}\n`)
mkdirSync(join(folder, 'node_modules'))
symlinkSync(packageRoot, join(folder, 'node_modules/longwave'))
afterAll(() => process.chdir(packageRoot))

const examples = documentedBlocks().filter(({ text }) => /^import .* from 'longwave'$/.test(text[0]))

test('there are examples', () => {
  expect(examples.length).toBeGreaterThan(4)
})

test.each(examples.map((block) => [`${block.document} line ${block.line}`, block] as const))(
  '%s',
  async (name, { text }) => {
    const file = join(folder, `${name.replaceAll('/', ' ')}.mjs`)
    writeFileSync(file, text.join('\n'))
    process.chdir(folder)
    const log = vi.spyOn(console, 'log').mockImplementation(() => {})
    try {
      await import(/* @vite-ignore */ pathToFileURL(file).href)
      const printed = log.mock.calls.map((values) => values.join(' '))
      const shown = text.filter((line) => line.startsWith('//=> ')).map((line) => line.slice(5))
      expect(shown.length).toBeGreaterThan(0)
      expect(printed).toEqual(shown)
    } finally {
      log.mockRestore()
    }
  },
)
