import { afterAll, describe, expect, test } from 'vitest'
import { weightOf } from '../src/backends/weight.js'
import { saveCheckpoint } from '../src/checkpoints/own.js'
import { openModel } from '../src/index.js'
import { newFolder, noise } from './checkpoints/folders.js'
import { randomWeights, tinySpec } from './engine/models.js'

const opened: { close(): Promise<void> }[] = []
afterAll(() => Promise.all(opened.map((model) => model.close())))

async function open(folder: string, chunk?: number) {
  const model = await openModel(folder, { device: 'cpu', chunk })
  opened.push(model)
  return model
}

const sequence = (length: number, vocab: number) =>
  Int32Array.from({ length }, (_, i) => (i * i * 7 + 3 * i + 1) % vocab)

describe('a causal model', () => {
  test('goes on from a state: in pieces it gives the bytes of the whole', async () => {
    const model = await open('test/golden/hf-mamba', 16)
    const ids = sequence(100, 64)
    const whole = await model.forward(ids, { hidden: 'all' })
    const logits: number[] = []
    const hidden: number[][] = [[], [], [], []]
    let state: typeof whole.state
    for (const [from, to] of [
      [0, 1],
      [1, 3],
      [3, 40],
      [40, 41],
      [41, 100],
    ]) {
      const part = await model.forward(ids.subarray(from, to), { state, hidden: 'all' })
      logits.push(...part.logits!)
      for (const [i, rows] of (part.hidden as Float32Array[]).entries()) hidden[i].push(...rows)
      state = part.state
    }
    expect(Float32Array.from(logits)).toEqual(whole.logits)
    expect(hidden.map((rows) => Float32Array.from(rows))).toEqual(whole.hidden)
    expect(state).toEqual(whole.state)
    expect(state!.layers.map(({ conv, ssm }) => [conv.length, ssm.length])).toEqual(Array(3).fill([64 * 4, 64 * 8]))
  })

  test('a state can be used twice, and is not changed', async () => {
    const model = await open('test/golden/hf-mamba')
    const { state } = await model.forward(sequence(9, 64))
    const before = structuredClone(state)
    const first = await model.forward(Int32Array.of(5), { state })
    expect(await model.forward(Int32Array.of(5), { state })).toEqual(first)
    expect(state).toEqual(before)
  })

  test('chunks do not change a byte, and `last` is the last row of `all`', async () => {
    const ids = sequence(77, 64)
    const [small, large] = [await open('test/golden/hf-mamba', 5), await open('test/golden/hf-mamba')]
    const all = await large.forward(ids)
    expect(await small.forward(ids)).toEqual(all)
    expect((await small.forward(ids, { logits: 'last' })).logits).toEqual(all.logits!.slice(-64))
    expect((await small.forward(ids, { logits: 'none' })).logits).toBeUndefined()
  })

  test('wrong ids and the state of another model are errors', async () => {
    const model = await open('test/golden/hf-mamba')
    await expect(model.forward(Int32Array.of(1, 64))).rejects.toThrow('token id 64 at 1, expected 0 to 63')
    await expect(model.forward(new Int32Array())).rejects.toMatchObject({ exitCode: 65 })
    const other = await open('test/golden/hf-mamba-f16')
    const { state } = await other.forward(Int32Array.of(1))
    await expect(model.forward(Int32Array.of(1), { state })).rejects.toThrow('state of another model: layers has 2')
  })
})

describe('a session', () => {
  test('goes on token by token with its state on the device, and forks', async () => {
    const model = await open('test/golden/hf-mamba', 16)
    const ids = sequence(40, 64)
    const whole = await model.forward(ids, { hidden: 'last' })
    const session = model.session({ hidden: 'last' })
    const logits: number[] = [...(await session.push(ids.subarray(0, 30))).logits!]
    const fork = await session.fork()
    for (const id of ids.subarray(30)) logits.push(...(await session.push(Int32Array.of(id))).logits!)
    expect(Float32Array.from(logits)).toEqual(whole.logits)
    expect(await session.save()).toEqual(whole.state)
    expect((await fork.push(ids.subarray(30))).logits).toEqual(whole.logits!.slice(30 * 64))
    expect([session.length, fork.length]).toEqual([40, 40])
    session.close()
    fork.close()
  })

  test('of a model that needs its sequence whole takes one call', async () => {
    const session = (await open('test/golden/caduceus-ph')).session()
    await session.push(sequence(9, 12))
    expect(session.resumable).toBe(false)
    expect(() => session.save()).toThrow('this model needs its sequence whole')
    await expect(session.push(sequence(9, 12))).rejects.toMatchObject({ exitCode: 2 })
  })
})

describe.each(['caduceus-ph', 'caduceus-ps'])('%s', (name) => {
  test('gives no state, and takes none', async () => {
    const model = await open(`test/golden/${name}`)
    expect((await model.forward(sequence(9, 12))).state).toBeUndefined()
    const state = { position: 1, layers: [], stem: [] }
    await expect(model.forward(Int32Array.of(7), { state })).rejects.toMatchObject({ exitCode: 2 })
  })

  test('chunks do not change a byte', async () => {
    const ids = sequence(50, 12)
    const [small, large] = [await open(`test/golden/${name}`, 8), await open(`test/golden/${name}`)]
    const all = await large.forward(ids, { hidden: 'all' })
    expect(await small.forward(ids, { hidden: 'all' })).toEqual(all)
    expect((await small.forward(ids, { logits: 'last' })).logits).toEqual(all.logits!.slice(-16))
  })
})

test('PS reads both strands alike: the reverse complement gives the complemented logits backwards', async () => {
  const model = await open('test/golden/caduceus-ps')
  const { complement } = model.spec.reverse_complement!
  const ids = sequence(31, 12)
  const { logits } = await model.forward(ids)
  const other = await model.forward(ids.toReversed().map((id) => complement[id]))
  const mapped = logits!.map((_, i) => other.logits![(30 - Math.floor(i / 16)) * 16 + complement[i % 16]])
  expect(Math.max(...logits!.map((value, i) => Math.abs(value - mapped[i])))).toBeLessThan(1e-5)
})

test('a classifier with a stem gives one score per label, in any chunks', async () => {
  const folder = await newFolder()
  const spec = tinySpec('mamba', true)
  await saveCheckpoint(folder, spec, randomWeights(spec))
  const ids = sequence(61, 5)
  const whole = await (await open(folder)).forward(ids)
  expect(whole.logits!.length).toBe(3)
  expect(whole.state).toBeUndefined()
  expect(await (await open(folder, 7)).forward(ids)).toEqual(whole)
})

test('a model of values takes the rows themselves: those of an embedding give the bytes of its tokens', async () => {
  const [ofTokens, ofValues] = [await newFolder(), await newFolder()]
  const spec = tinySpec('mamba', true)
  const weights = randomWeights(spec)
  await saveCheckpoint(ofTokens, spec, weights)
  await saveCheckpoint(ofValues, { ...spec, input: { kind: 'values' } }, weights)
  const ids = sequence(61, 5)
  const { data } = weights.get('embedding.weight')!
  const rows = Float32Array.from([...ids].flatMap((id) => [...data.subarray(3 * id, 3 * id + 3)]))
  const model = await open(ofValues, 7)
  const tokens = await open(ofTokens)
  expect(await model.forward(rows, { hidden: 'all' })).toEqual(await tokens.forward(ids, { hidden: 'all' }))
  await expect(model.forward(ids)).rejects.toThrow('61 values, expected float32 rows of 3')
  await expect(model.forward(rows.subarray(1))).rejects.toMatchObject({ exitCode: 65 })
  await expect(model.forward(Float32Array.of(1, Number.NaN, 2))).rejects.toThrow('value 1 is NaN, expected finite')
  await expect(tokens.forward(rows)).rejects.toThrow('float32 rows, expected token ids')
})

test('a language model with a stem goes on where its stride allows it', async () => {
  const folder = await newFolder()
  const spec = { ...tinySpec('mamba', true), head: { kind: 'tokens', tied: false } as const }
  const weights = randomWeights(spec).set('head.weight', weightOf(5, 7, noise(35, 1)))
  weights.delete('head.bias')
  await saveCheckpoint(folder, spec, weights)
  const model = await open(folder)
  const ids = sequence(31, 5)
  const whole = await model.forward(ids)
  expect(whole.state).toBeUndefined() // 31 is no multiple of 6
  const first = await model.forward(ids.subarray(0, 12))
  const second = await model.forward(ids.subarray(12), { state: first.state })
  expect(Float32Array.of(...first.logits!, ...second.logits!)).toEqual(whole.logits)
})

test('a model that tells modalities apart reads parts of a sequence, each as what it is', async () => {
  const folder = await newFolder()
  const spec = { ...tinySpec('mixture'), head: { kind: 'tokens', tied: true } as const }
  await saveCheckpoint(folder, spec, randomWeights(spec))
  const [model, small] = [await open(folder), await open(folder, 4)]
  expect(model.spec).toEqual(spec)
  const ids = sequence(30, 5)
  const parts = [
    { ids: ids.subarray(0, 9) },
    { ids: ids.subarray(9, 20), modality: 2 },
    { ids: ids.subarray(20), modality: 1 },
  ]
  const session = model.session()
  const logits: number[] = []
  for (const { ids, modality } of parts) logits.push(...(await session.push(ids, { modality })).logits!)
  let state: Awaited<ReturnType<typeof model.forward>>['state']
  const called: number[] = []
  for (const { ids, modality } of parts) {
    const result = await small.forward(ids, { state, modality })
    called.push(...result.logits!)
    state = result.state
  }
  expect(called).toEqual(logits)
  expect(await session.save()).toEqual(state)
  session.close()
  const first = (await model.forward(ids)).logits!
  expect(first.slice(0, 9 * 5)).toEqual(Float32Array.from(logits.slice(0, 9 * 5)))
  expect(first.slice(9 * 5, 10 * 5)).not.toEqual(Float32Array.from(logits.slice(9 * 5, 10 * 5)))
  for (const modality of [3, -1, 0.5, Number.NaN])
    await expect(model.forward(ids, { modality })).rejects.toMatchObject({
      exitCode: 2,
      message: `modality is ${modality}, expected a whole number from 0 to 2`,
    })
})

test('a model that reads all alike has no other modality than 0', async () => {
  const model = await open('test/golden/hf-mamba')
  const ids = sequence(5, 64)
  expect(await model.forward(ids, { modality: 0 })).toEqual(await model.forward(ids))
  await expect(model.forward(ids, { modality: 1 })).rejects.toMatchObject({
    exitCode: 2,
    message: 'modality is 1, expected 0: the model reads all alike',
  })
})

test.each([0, -5, 1.5, Number.NaN])('a chunk of %d tokens is a usage error', async (chunk) => {
  await expect(openModel('test/golden/hf-mamba', { chunk })).rejects.toMatchObject({
    exitCode: 2,
    message: `chunk is ${chunk}, expected a whole number above 0`,
  })
})

test('a closed model says so, and may be closed again', async () => {
  const model = await openModel('test/golden/hf-mamba')
  await model.close()
  await model.close()
  await expect(model.forward(Int32Array.of(1))).rejects.toMatchObject({
    exitCode: 2,
    message: 'the model was closed: open it again',
  })
})

test('a model that is not there is exit code 69', async () => {
  await expect(openModel('no-such-model')).rejects.toMatchObject({ exitCode: 69 })
})
