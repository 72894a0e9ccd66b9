import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { writeSafetensors } from '../../src/checkpoints/safetensors-write.js'
import { hostTensors } from '../../src/training/replica.js'
import { RunFolder, type Standing } from '../../src/training/run-folder.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const spec = tinySpec('mamba')
const weights = randomWeights(spec)
const card = { training: { steps: 1 } }
const identity = { settings: { lr: 0.1 } }
const standing: Standing = {
  state: { step: 1, weights: hostTensors(weights), moments: new Map(), ema: null },
  best: null,
  stale: 0,
  epoch: { loss: 0, right: 0, records: 0 },
}

let count = 0
const fresh = () => join(folder, `out-${count++}`)
const put = (out: string, name: string, content: string | Uint8Array) => {
  mkdirSync(join(out, name, '..'), { recursive: true })
  writeFileSync(join(out, name), content)
}
const list = (out: string) => readdirSync(out, { recursive: true }).map(String).sort()
/** A folder as it lies on the disk. */
const contents = (out: string) =>
  list(out).map((name) => [name, statSync(join(out, name)).isFile() ? readFileSync(join(out, name), 'hex') : ''])

describe('a folder that holds what training did not make is refused and left as it is', () => {
  const files: [string, string, (out: string) => void | Promise<void>][] = [
    ['a file of another name', 'notes.txt', (out) => put(out, 'notes.txt', 'mine')],
    ['a hidden file', '.notes', (out) => put(out, '.notes', 'mine')],
    ['a folder', 'data', (out) => put(out, 'data/x.fa', '>a\nA\n')],
    ['a file in checkpoint/', 'checkpoint/mine.txt', (out) => put(out, 'checkpoint/mine.txt', 'mine')],
    ['a file called checkpoint', 'checkpoint', (out) => put(out, 'checkpoint', 'mine')],
    ['a state of another program', 'checkpoint/state', (out) => put(out, 'checkpoint/state', 'mine')],
    ['an empty state', 'checkpoint/state', (out) => put(out, 'checkpoint/state', '')],
    ['a config of another program', 'config.json', (out) => put(out, 'config.json', '{"model_type": "mamba"}')],
    ['a config that is no JSON', 'config.json', (out) => put(out, 'config.json', '{"format": "longwave"')],
    ['a model that was not trained here', 'config.json', (out) => saveCheckpoint(out, spec, weights)],
    ['a log of another program', 'train-log.jsonl', (out) => put(out, 'train-log.jsonl', '{"step": 1}\n')],
    ['weights that are text', 'model.safetensors', (out) => put(out, 'model.safetensors', 'mine')],
    [
      'weights of another program',
      'model.safetensors',
      async (out) => {
        mkdirSync(out)
        await writeSafetensors(join(out, 'model.safetensors'), [])
      },
    ],
    [
      'a temporary file of another program',
      'config.json.0123abcd.tmp',
      (out) => put(out, 'config.json.0123abcd.tmp', '{\n  "form": 1'),
    ],
    [
      'a link',
      'train-log.jsonl',
      (out) => {
        put(out, '../linked', '')
        mkdirSync(out)
        symlinkSync('../linked', join(out, 'train-log.jsonl'))
      },
    ],
  ]
  it.each(files)('%s', async (_, name, make) => {
    const out = fresh()
    await make(out)
    const before = contents(out)
    for (const force of [false, true])
      for (const open of [RunFolder.check, (path: string) => RunFolder.open(path, identity, force)])
        await expect(open(out, force)).rejects.toMatchObject({
          exitCode: 73,
          message: `${join(out, name)}: training did not make this, and --out takes nothing else: move it, or choose another --out`,
        })
    expect(contents(out)).toEqual(before)
  })

  it('and so is what is no folder, or cannot be made', async () => {
    put(folder, 'file', 'mine')
    for (const out of ['file', 'file/below'])
      await expect(RunFolder.check(join(folder, out), true), out).rejects.toMatchObject({ exitCode: 73 })
    for (const out of ['', '/proc/none'])
      await expect(RunFolder.open(out, identity, true), out).rejects.toMatchObject({ exitCode: 73 })
  })
})

/** A run that was killed when its folder held this. */
async function killed(kind: 'log' | 'checkpoint' | 'finishing'): Promise<string> {
  const out = fresh()
  const run = await RunFolder.open(out, identity)
  await run.write({ step: 1 })
  if (kind !== 'log') await run.save(standing)
  if (kind === 'finishing') await saveCheckpoint(out, spec, weights, card)
  return out
}

describe('a run that was killed', () => {
  it('before its first checkpoint is started anew, with or without what it was writing', async () => {
    for (const force of [false, true]) {
      const out = await killed('log')
      put(out, 'checkpoint/state.0123abcd.tmp', 'longwave checkp')
      put(out, 'model.safetensors.00000000.tmp', '')
      writeFileSync(join(out, 'train-log.jsonl'), '{"log":"longw')
      const run = await RunFolder.open(out, identity, force)
      expect(run.resumed).toBeNull()
      expect(list(out)).toEqual([])
      await run.write({ step: 1 })
      expect(readFileSync(join(out, 'train-log.jsonl'), 'utf8')).toBe('{"log":"longwave train","step":1}\n')
    }
  })

  it('after a checkpoint goes on from it, its log cut back to it', async () => {
    const out = await killed('checkpoint')
    writeFileSync(join(out, 'train-log.jsonl'), '{"step": 2}\n{"st', { flag: 'a' })
    put(out, 'checkpoint/state.0123abcd.tmp', 'longwave checkpoint 1\nxyz')
    const run = await RunFolder.open(out, identity)
    expect(run.resumed?.state.step).toBe(1)
    await run.write({ step: 2 })
    expect(readFileSync(join(out, 'train-log.jsonl'), 'utf8')).toBe('{"log":"longwave train","step":1}\n{"step":2}\n')
    expect(list(out)).toEqual(['checkpoint', 'checkpoint/state', 'train-log.jsonl'])
    const other = { settings: { lr: 0.2 } }
    await expect(RunFolder.open(out, other)).rejects.toThrow(/unfinished run with another settings\.lr \(0\.1 there/)
    expect((await RunFolder.open(out, other, true)).resumed).toBeNull()
    expect(list(out)).toEqual([])
  })

  it('while it wrote its model goes on from its checkpoint and finishes', async () => {
    const out = await killed('finishing')
    const run = await RunFolder.open(out, identity)
    expect(run.resumed).not.toBeNull()
    await run.finish(standing, spec, weights, card)
    expect(list(out)).toEqual(['config.json', 'model.safetensors', 'train-log.jsonl'])
  })

  it('is continued although its log is gone', async () => {
    const out = fresh()
    await (await RunFolder.open(out, identity)).save(standing)
    const run = await RunFolder.open(out, identity)
    await run.write({ step: 2 })
    expect(readFileSync(join(out, 'train-log.jsonl'), 'utf8')).toBe('{"log":"longwave train","step":2}\n')
  })
})

describe('a finished model', () => {
  it('is replaced only with force, and so are its weights alone', async () => {
    const out = fresh()
    await (await RunFolder.open(out, identity)).finish(standing, spec, weights, card)
    expect(list(out)).toEqual(['config.json', 'model.safetensors'])
    await expect(RunFolder.check(out, false)).rejects.toThrow(/already holds a model; use --force/)
    writeFileSync(join(out, 'config.json'), JSON.stringify(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))))
    await RunFolder.open(out, identity, true)
    expect(list(out)).toEqual([])
    await saveCheckpoint(out, spec, weights, card)
    rmSync(join(out, 'config.json'))
    await expect(RunFolder.check(out, false)).rejects.toThrow(/already holds a model; use --force/)
    await RunFolder.open(out, identity, true)
    expect(list(out)).toEqual([])
  })

  it('has its tokenizer beside it, which is known by its sum, also while it is written', async () => {
    const bytes = Buffer.from('{"model": {}}')
    const files = { 'tokenizer.json': createHash('sha256').update(bytes).digest('hex') }
    const withFiles = { ...card, training: { ...card.training, files } }
    const finish = async (run: RunFolder) =>
      run.finish(standing, spec, weights, withFiles, new Map([['tokenizer.json', bytes]]))
    const out = fresh()
    await finish(await RunFolder.open(out, identity))
    expect(list(out)).toEqual(['config.json', 'model.safetensors', 'tokenizer.json'])
    expect(readFileSync(join(out, 'tokenizer.json')).equals(bytes)).toBe(true)

    const cut = fresh()
    await (await RunFolder.open(cut, identity)).save(standing)
    await saveCheckpoint(cut, spec, weights, withFiles)
    put(cut, 'tokenizer.json.0123abcd.tmp', '{"mod')
    await finish(await RunFolder.open(cut, identity))
    expect(list(cut)).toEqual(list(out))

    put(out, 'tokenizer.json', 'another')
    await expect(RunFolder.open(out, identity, true)).rejects.toThrow(/tokenizer\.json: training did not make this/)
    put(out, 'tokenizer.json', bytes.toString())
    await RunFolder.open(out, identity, true)
    expect(list(out)).toEqual([])
    put(out, 'tokenizer.json', bytes.toString())
    await expect(RunFolder.check(out, true)).rejects.toThrow(/tokenizer\.json: training did not make this/)
  })

  it('does not replace a file that was put there meanwhile; the checkpoint stays', async () => {
    const out = fresh()
    const run = await RunFolder.open(out, identity)
    put(out, 'config.json', 'mine')
    await expect(run.finish(standing, spec, weights, card)).rejects.toMatchObject({ exitCode: 73 })
    expect(readFileSync(join(out, 'config.json'), 'utf8')).toBe('mine')
    expect(list(out)).toContain('checkpoint/state')
  })

  it('leaves nothing behind when nothing was trained', async () => {
    const out = fresh()
    const run = await RunFolder.open(out, identity)
    await run.write({ step: 1 })
    await run.abandon()
    expect(readdirSync(folder)).not.toContain(out.split('/').at(-1))
  })
})
