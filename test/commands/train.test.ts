import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import type { Weights } from '../../src/layers/params.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import { Random } from '../../src/runtime/random.js'
import { openTags } from '../output/report/tags.js'
import { command } from '../run-command.js'
import { longwave } from '../shell/run.js'

let folder: string
let at: (name: string) => string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'longwave-command-'))
  at = (name) => join(folder, name)
  const random = new Random(1)
  const records = Array.from({ length: 60 }, (_, i) => {
    const label = i % 2 === 0 ? 'rich' : 'poor'
    const bases = Array.from(
      { length: 24 },
      () => 'ACGT'[random.uniform() < 0.8 ? random.int(2) + (i % 2) * 2 : random.int(4)],
    )
    return { id: `r${i}`, label, bases: bases.join('') }
  })
  await writeFile(at('x.fa'), records.map(({ id, bases }) => `>${id}\n${bases}\n`).join(''))
  await writeFile(at('x.tsv'), `id\tlabel\n${records.map(({ id, label }) => `${id}\t${label}\n`).join('')}`)
  await writeFile(
    at('small.json'),
    JSON.stringify({ layers: 1, d_model: 8, d_state: 2, batch: 20, shard: 10, epochs: 8, lr: 0.02 }),
  )
})
afterAll(() => rm(folder, { recursive: true }))

/** The program, which gets the signal when this appears on its standard error. */
const interrupted = (args: string[], when: string, signal: NodeJS.Signals) => longwave(args, { kill: { signal, when } })

const trainArgs = (out: string) =>
  ['train', 'classify', '--data', at('x.fa'), '--labels', at('x.tsv'), '--valid', at('x.fa'), '--config', at('small.json')]
    .concat('--out', at(out), '-d', 'cpu', '-t', '1') // biome-ignore format: a command line

describe('longwave train classify', () => {
  it('is stopped by Ctrl-C, goes on to the same bytes, and makes a model that evaluate reads', async () => {
    const straight = await command([...trainArgs('straight'), '--json', '-q'])
    expect(straight).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(straight.stdout.toString())).toMatchObject({ finished: true, step: 24 })
    const stopped = await interrupted(trainArgs('cut'), 'epoch 2/8', 'SIGINT')
    expect(stopped.code).toBe(130)
    expect(stopped.stderr).toMatch(/stopped after step \d+; the same command resumes from there\n$/)
    await stat(join(at('cut'), 'checkpoint', 'state'))
    const resumed = await command(trainArgs('cut'))
    expect(resumed.code).toBe(0)
    expect(resumed.stderr).not.toContain('epoch 1/8')
    for (const file of ['model.safetensors', 'config.json']) {
      const written = (name: string) => readFile(join(at(name), file))
      expect((await written('cut')).equals(await written('straight')), file).toBe(true)
    }

    const measured = await command(
      ['evaluate', '-m', at('cut'), '--data', at('x.fa'), '--labels', at('x.tsv'), '-q', '--json'],
    ) // biome-ignore format: a command line
    expect(measured).toMatchObject({ code: 0, stderr: '' })
    const figures = JSON.parse(measured.stdout.toString())
    expect(figures).toMatchObject({ labels: ['poor', 'rich'], records: 60 })
    expect(figures.accuracy).toBeGreaterThan(0.9)
    const log = (await readFile(join(at('cut'), 'train-log.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l))
    // The validation in training and the command agree.
    const best = log.filter(({ valid }) => valid).sort((a, b) => b.valid.mcc - a.valid.mcc)[0]
    expect(figures.mcc).toBeCloseTo(best.valid.mcc, 10)
    // So do the temperature and what it gained.
    const { spec, training } = JSON.parse(await readFile(join(at('cut'), 'config.json'), 'utf8'))
    const { temperature, error } = training.calibration
    expect(JSON.parse(straight.stdout.toString()).calibration).toEqual(training.calibration)
    expect(spec.head.temperature).toBe(temperature)
    expect(figures.calibration.temperature / temperature).toBeCloseTo(1, 3)
    expect(figures.calibration.error).toBeCloseTo(error.after, 5)
    const line = `calibrated on valid: temperature ${temperature}, calibration error ${error.before.toFixed(4)} -> ${error.after.toFixed(4)}`
    expect(resumed.stderr.trimEnd().split('\n').at(-2)).toBe(`longwave: ${line}`)
  })

  it('draws its curves from the first step on when it is whole, and not before', async () => {
    const drawn = (html: string) => [...trainArgs('drawn'), '--html', at(html)]
    const inside = await command([...trainArgs('drawn'), '--html', join(at('drawn'), 'report.html')])
    expect(inside.stderr).toMatch(/^longwave: --html .*: --out .*drawn holds nothing but the run; .*\n$/)
    expect(inside.code).toBe(2)
    const stopped = await interrupted(drawn('curves.html'), 'epoch 2/8', 'SIGTERM')
    expect(stopped.code).toBe(143)
    expect((await readdir(folder)).filter((name) => name.startsWith('curves'))).toEqual([])
    expect((await command(drawn('curves.html'))).code).toBe(0)
    const text = await readFile(at('curves.html'), 'utf8')
    expect(openTags(text)).toEqual([])
    for (const title of ['Loss', 'Validation', 'Confusion matrix', 'Settings'])
      expect(text).toContain(`<h2>${title}</h2>`)
    const epochs = (await readFile(join(at('drawn'), 'train-log.jsonl'), 'utf8')).match(/"epoch":/g)!
    expect(epochs).toHaveLength(8)
    // Three figures and two losses have a dot for each epoch.
    expect(text.match(/<circle /g)).toHaveLength(5 * 8)
    expect((await command(drawn('curves.html'))).code).toBe(73)
  })

  it('goes on from another model, and its config holds settings that can be given again', async () => {
    expect((await command([...trainArgs('base'), '-q'])).code).toBe(0)
    await writeFile(at('tune.json'), JSON.stringify({ batch: 20, epochs: 2 }))
    const tune = (settings: string, out: string) =>
      ['train', 'classify', '--data', at('x.fa'), '--labels', at('x.tsv'), '--config', at(settings), '-q']
        .concat('--from', at('base'), '--freeze', 'body', '--out', at(out), '-d', 'cpu', '-t', '1') // biome-ignore format: a command line
    expect(await command(tune('tune.json', 'tuned'))).toMatchObject({ code: 0, stderr: '' })
    const { spec, training } = JSON.parse(await readFile(join(at('tuned'), 'config.json'), 'utf8'))
    expect([spec.d_model, training.from, training.settings.epochs]).toEqual([8, 'base', 2])
    // It has learnt since it was calibrated, and no records are there to do it again.
    expect(JSON.parse(await readFile(join(at('base'), 'config.json'), 'utf8')).spec.head.temperature).toBeGreaterThan(0)
    expect([spec.head.temperature, training.calibration]).toEqual([undefined, undefined])

    await writeFile(at('settings.json'), JSON.stringify(training.settings))
    expect(await command(tune('settings.json', 'again'))).toMatchObject({ code: 0, stderr: '' })
    const weights = (name: string) => readFile(join(at(name), 'model.safetensors'))
    expect((await weights('again')).equals(await weights('tuned'))).toBe(true)
    expect((await weights('tuned')).equals(await weights('base'))).toBe(false)

    const refused = await command(tune('small.json', 'refused'))
    expect(refused).toMatchObject({
      code: 2,
      stderr: 'longwave: layers comes with the model of --from and cannot be set\n',
    })
  })

  it('keeps the head of the other model where that has the same labels, and has a new one for others', async () => {
    expect((await command([...trainArgs('whole'), '-q'])).code).toBe(0)
    const table = await readFile(at('x.tsv'), 'utf8')
    await writeFile(at('renamed.tsv'), table.replaceAll('rich', 'wealthy'))
    await writeFile(at('still.json'), JSON.stringify({ epochs: 1, lr: 0 }))
    const tuned = async (name: string, labels: string) => {
      const line = ['train', 'classify', '--data', at('x.fa'), '--labels', at(labels), '--config', at('still.json'), '-q']
        .concat('--from', at('whole'), '--out', at(name), '-d', 'cpu', '-t', '1') // biome-ignore format: a command line
      expect(await command(line)).toMatchObject({ code: 0, stderr: '' })
      return (await openCheckpoint(at(name))).weights
    }
    const { weights: whole } = await openCheckpoint(at('whole'))
    const same = (weights: Weights) =>
      [...whole.keys()].filter((name) => isDeepStrictEqual(weights.get(name), whole.get(name)))
    expect(same(await tuned('same labels', 'x.tsv'))).toEqual([...whole.keys()])
    const body = [...whole.keys()].filter((name) => !name.startsWith('head.'))
    expect(same(await tuned('other labels', 'renamed.tsv'))).toEqual(body)
  })

  it('goes on after a hang-up, and starts anew after kill -9, to the same bytes', async () => {
    const weights = (name: string) => readFile(join(at(name), 'model.safetensors'))
    const hungUp = await interrupted(trainArgs('hung up'), 'epoch 2/8', 'SIGHUP')
    expect(hungUp.code).toBe(129)
    expect(hungUp.stderr).toMatch(/stopped after step \d+; the same command resumes from there\n$/)
    expect((await command(trainArgs('hung up'))).code).toBe(0)
    const killed = await interrupted(trainArgs('killed'), 'epoch 3/8', 'SIGKILL')
    expect(killed.code).toBeNull()
    expect(await readdir(at('killed'))).toEqual(['train-log.jsonl'])
    expect((await command(trainArgs('killed'))).code).toBe(0)
    expect((await weights('killed')).equals(await weights('hung up'))).toBe(true)
    expect((await readdir(at('killed'))).sort()).toEqual(['config.json', 'model.safetensors', 'train-log.jsonl'])
  })

  it('keeps files of others, says so before data is read, and ends without a file while it reads', async () => {
    await mkdir(at('mine'))
    await writeFile(join(at('mine'), 'thesis.txt'), 'mine')
    execFileSync('mkfifo', [at('endless.fa')])
    const args = (out: string, data = 'endless.fa') =>
      ['train', 'classify', '--data', at(data), '--labels', at('x.tsv'), '--out', at(out), '--force'] // biome-ignore format: a command line
    // Nobody writes into the pipe: reading it would wait for ever.
    const refused = await command(args('mine'))
    expect(refused.stderr).toMatch(/^longwave: .*mine\/thesis\.txt: training did not make this, .*\n$/)
    expect(refused.code).toBe(73)
    expect(await command(args('x.fa', 'x.fa'))).toMatchObject({ code: 2 })
    expect(await readFile(join(at('mine'), 'thesis.txt'), 'utf8')).toBe('mine')
    const child = spawn(process.execPath, [join(packageRoot, 'bin/run.js'), ...args('waiting')])
    const writer = await open(at('endless.fa'), 'w') // there is a reader now
    await writer.write('>r0\nACGT\n')
    const ended = new Promise((resolve) => child.on('close', resolve))
    child.kill('SIGTERM')
    expect(await ended).toBe(143)
    await writer.close()
    await expect(stat(at('waiting'))).rejects.toThrow(/ENOENT/)
  })

  it('reads data and tables from pipes, once, and notes the sums of what it read', async () => {
    for (const name of ['data', 'labels']) execFileSync('mkfifo', [at(name)])
    const feed = (from: string, to: string) => spawn('bash', ['-c', `cat '${at(from)}' > '${at(to)}'`])
    feed('x.fa', 'data')
    feed('x.tsv', 'labels')
    const sum = async (name: string) =>
      createHash('sha256')
        .update(await readFile(at(name)))
        .digest('hex')
    const ran = await command(
      ['train', 'classify', '--data', at('data'), '--labels', at('labels'), '--valid', at('data'), '--config', at('small.json')]
        .concat('--epochs', '1', '--out', at('piped'), '-t', '1', '-q'),
    ) // biome-ignore format: a command line
    expect(ran).toMatchObject({ code: 0, stderr: '' })
    const { training } = JSON.parse(await readFile(join(at('piped'), 'config.json'), 'utf8'))
    expect(training.data.train).toMatchObject({ data_sha256: await sum('x.fa'), labels_sha256: await sum('x.tsv') })
  })

  it('says in one line what is wrong', async () => {
    const parts = 'parts: embedding, blocks, norm, body, head'
    for (const [flags, line] of [
      [['--freeze', 'tail'], `--freeze: this model has no part 'tail'; ${parts}`],
      [['--freeze', '2'], '--freeze 2: expected at most 1, the blocks of this model'],
      [['--lr', 'stem=0.1'], `learning rate: this model has no part 'stem'; ${parts}`],
      [['--lr', '0.1,head=0.2', '--freeze', 'head'], "learning rate of 'head': this part is frozen"],
    ] as const)
      expect(await command([...trainArgs('bad'), ...flags])).toMatchObject({ code: 2, stderr: `longwave: ${line}\n` })
    const refused = await command([...trainArgs('bad'), '--lr', '0.1,head=fast'])
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringMatching(/expected a number from 0 to 1, got 'fast'/),
    ])
  })
})
