import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { packageRoot } from '../src/runtime/package-root.js'
import { errorRate } from '../src/text/edit-distance.js'
import { textEdits } from '../src/training/metrics/validation.js'
import { noiseKinds, noiseRecording } from './noises.js'
import { command } from './run-command.js'
import { temporaryFolder } from './shell/run.js'

const folder = join(packageRoot, 'models')
const scratch = temporaryFolder()
const names = readdirSync(folder)
const configOf = (name: string) => JSON.parse(readFileSync(join(folder, name, 'config.json'), 'utf8'))
const fixture = (file: string) => join(packageRoot, 'fixtures', file)
/** How many records of a fixture a model must get right; their headers say what they are. */
const fixtures: Record<string, { file: string; labels: Record<string, string>; right: number }> = {
  origin: {
    file: 'fragments.fa',
    labels: {
      human: 'human',
      c_elegans: 'worm',
      yeast: 'yeast',
      akkermansia: 'bacteria',
      phage: 'phage',
      ebola: 'virus',
    },
    right: 6,
  },
  promoter: { file: 'promoters.fa', labels: { promoter: 'promoter', non_promoter: 'non_promoter' }, right: 7 },
  splice: { file: 'splice.fa', labels: { acceptor: 'acceptor', donor: 'donor', neither: 'neither' }, right: 8 },
}

describe.each(names)('bundled model %s', (name) => {
  const config = configOf(name)
  const card = readFileSync(join(folder, name, 'README.md'), 'utf8')

  test('is small, and its card gives the figures of its config', () => {
    expect(statSync(join(folder, name, 'model.safetensors')).size).toBeLessThan(
      config.spec.input.kind === 'log-mel' ? 12e6 : 3e6,
    )
    expect(config.name).toBe(name)
    for (const value of Object.values(config.test as Record<string, number>)) expect(card).toContain(String(value))
  })
})

describe.each(Object.entries(fixtures))('bundled model %s', (name, { file, labels, right }) => {
  test('calls its fixture mostly right', async () => {
    const { code, stdout } = await command(['classify', '-m', name, fixture(file)])
    expect(code).toBe(0)
    const rows = stdout.toString().trimEnd().split('\n').slice(1)
    const correct = rows.filter((row) => {
      const [id, , label] = row.split('\t')
      return label === labels[Object.keys(labels).find((prefix) => id.startsWith(prefix))!]
    })
    expect(correct.length).toBeGreaterThanOrEqual(right)
  })
})

describe('bundled models of audio', () => {
  const transcribe = async (...args: string[]) => {
    const { code, stdout } = await command(['transcribe', '-q', ...args])
    expect(code).toBe(0)
    return stdout.toString()
  }

  test('digits writes down what its fixture says, and when', async () => {
    expect(await transcribe('-m', 'digits', fixture('digits.wav'))).toBe('two six four eight\n')
    const rows = (await transcribe('-m', 'digits', '-f', 'json', fixture('digits.wav'))).trim()
    const words: { text: string; start: number; end: number }[] = JSON.parse(rows)[0].words
    expect(words.map(({ text }) => text)).toEqual(['two', 'six', 'four', 'eight'])
    const times = words.flatMap(({ start, end }) => [start, end])
    expect(times).toEqual([...times].sort((a, b) => a - b))
  })

  test('english is half right at least about its fixture, says what it is, and must be asked for', async () => {
    const said = 'billy lived in new york'
    const { characters } = textEdits(said, (await transcribe('-m', 'english', fixture('sentence.wav'))).trim())
    expect(errorRate(characters)).toBeLessThan(0.5)
    const aloud = await command(['transcribe', '-m', 'english', fixture('sentence.wav')])
    expect(aloud.stderr).toMatch(/^longwave: english is a demonstration: /)
    const { code, stderr } = await command(['transcribe', fixture('sentence.wav')])
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^longwave: which model\? -m NAME/)])
  })

  test('digits writes nothing for noise and a sentence, and counts them; a bell may pass for a digit', async () => {
    const noises = noiseKinds
      .filter((kind) => kind !== 'bell')
      .map((kind, i) => {
        const path = join(scratch, `${kind}.wav`)
        writeFileSync(path, noiseRecording(kind, 3, 0.5, i))
        return path
      })
    const inputs = [...noises, fixture('sentence.wav'), fixture('rain.wav')]
    const { code, stdout, stderr } = await command(['transcribe', '-m', 'digits', '--no-progress', ...inputs])
    expect([code, stdout.toString()]).toEqual([0, inputs.map((path) => `${path}\t\n`).join('')])
    expect(stderr).toContain(`left out: ${inputs.length} in which nothing is said`)
  })

  test('sounds knows a dog from rain', async () => {
    const { stdout } = await command(['classify', '-q', '-m', 'sounds', fixture('dog.wav'), fixture('rain.wav')])
    const labels = stdout.toString().trimEnd().split('\n').slice(1)
    expect(labels.map((row) => row.split('\t')[2])).toEqual(['dog_bark', 'rain'])
  })
})
