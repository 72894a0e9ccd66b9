import { copyFile, mkdir, open as openFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { widened } from '../../src/backends/weight.js'
import { modelFiles, summarizeModel } from '../../src/checkpoints/catalogue.js'
import { type Checkpoint, openCheckpoint } from '../../src/checkpoints/open.js'
import { PytorchFile } from '../../src/checkpoints/pytorch/pytorch-file.js'
import { SafetensorsFile } from '../../src/checkpoints/safetensors.js'
import { bytesPer, type TensorFile } from '../../src/checkpoints/tensor-file.js'
import { readOrRefused, runs } from '../fuzz.js'
import { newFolder, noise } from './folders.js'
import {
  archive,
  archiveEntries,
  global,
  int,
  legacy,
  machine,
  magic,
  ops,
  ordered,
  pickle,
  type Saved,
  storage,
  tensor,
  text,
  tuple,
  u32,
  u64,
  type View,
  writeTorch,
  zip64,
  zipFile,
} from './torch-save.js'

async function fileOf(bytes: Uint8Array): Promise<string> {
  const path = join(await newFolder(), 'pytorch_model.bin')
  await writeFile(path, bytes)
  return path
}

async function opened<T>(bytes: Uint8Array, use: (file: TensorFile) => Promise<T>): Promise<T> {
  const file = await PytorchFile.open(await fileOf(bytes))
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}

/** The line about a file that is refused. */
async function refusal(bytes: Uint8Array): Promise<string> {
  const path = await fileOf(bytes)
  const error = await PytorchFile.open(path).catch((thrown) => thrown)
  expect(error).toMatchObject({ name: 'UserError', exitCode: 69 })
  expect(error.message).toMatch(/^[^\n]+$/)
  expect(error.message.startsWith(`${path}: `)).toBe(true)
  return error.message.slice(path.length + 2)
}

/** The tensors of a safetensors file as they are stored. */
async function stored(path: string): Promise<Saved[]> {
  const file = await SafetensorsFile.open(path)
  const tensors: Saved[] = []
  for (const [name, { dtype, shape, bytes }] of file.tensors) {
    const data = new Uint8Array(bytes)
    await file.read(name, 0, data)
    tensors.push({ name, dtype, shape, data })
  }
  await file.close()
  return tensors
}

function expectSame(got: Checkpoint, want: Checkpoint): void {
  expect(got.spec).toEqual(want.spec)
  expect([...got.weights.keys()]).toEqual([...want.weights.keys()])
  for (const [name, { dtype, rows, cols, data }] of want.weights) {
    const weight = got.weights.get(name)!
    expect(weight).toMatchObject({ dtype, rows, cols })
    expect([name, Buffer.compare(bytesOf(weight.data), bytesOf(data))]).toEqual([name, 0])
  }
}

const bytesOf = ({ buffer }: { buffer: ArrayBufferLike }) => new Uint8Array(buffer)

/** One tensor over a storage of these float32 numbers. */
const viewOf = (numbers: Float32Array, view: Partial<View> & { shape: number[] }, declared = numbers.length) =>
  zipFile(
    archiveEntries(pickle(ordered(text('w'), tensor({ key: '0', dtype: 'F32', length: declared, ...view }))), [
      ['0', bytesOf(numbers)],
    ]),
  )

describe('the same model as safetensors and as torch.save wrote it', () => {
  test.each([
    ['bin-zip-hf-mamba', 'hf-mamba'],
    ['bin-sharded-hf-mamba', 'hf-mamba'],
    ['bin-legacy-ssm-mamba1', 'ssm-mamba1'],
  ])('%s, written by torch itself', async (bin, safetensors) => {
    const [got, want] = [await openCheckpoint(`test/golden/${bin}`), await openCheckpoint(`test/golden/${safetensors}`)]
    expectSame(got, want)
  })

  const models = ['hf-mamba-f16', 'hf-falcon-mamba', 'caduceus-ph', 'caduceus-ps', 'caduceus-ps-unfused', 'ssm-mamba1']
  const folders = [...models.map((name) => `test/golden/${name}`), 'models/promoter']
  test.each(folders.flatMap((folder) => (['zip', 'legacy', 'shards'] as const).map((how) => [folder, how] as const)))(
    '%s as %s',
    async (from, how) => {
      const folder = await newFolder()
      await copyFile(join(from, 'config.json'), join(folder, 'config.json'))
      await writeTorch(folder, await stored(join(from, 'model.safetensors')), how)
      const [got, want] = [await openCheckpoint(folder), await openCheckpoint(from)]
      expectSame(got, want)
      const [{ parameters, bytes }, whole] = [await summarizeModel(folder), await summarizeModel(from)]
      expect(parameters).toBe(whole.parameters)
      const names = (await readdir(folder)).sort()
      const sizes = await Promise.all(
        names.filter((name) => name.endsWith('.bin')).map(async (name) => (await readFile(join(folder, name))).length),
      )
      expect(bytes).toBe(sizes.reduce((a, b) => a + b, 0))
      expect((await modelFiles(folder)).map(({ path }) => basename(path)).sort()).toEqual(names)
    },
  )

  test('tied weights that share a storage', async () => {
    const folder = await newFolder()
    const tensors = await stored('test/golden/hf-mamba/model.safetensors')
    const embedding = tensors.find(({ name }) => name === 'backbone.embeddings.weight')!
    await copyFile('test/golden/hf-mamba/config.json', join(folder, 'config.json'))
    await writeTorch(folder, [...tensors, { ...embedding, name: 'lm_head.weight' }], 'zip')
    const [got, want] = [await openCheckpoint(folder), await openCheckpoint('test/golden/hf-mamba')]
    expect(got.spec.head).toMatchObject({ tied: true })
    expectSame(got, want)
    const { parameters } = await summarizeModel('test/golden/hf-mamba')
    expect(await summarizeModel(folder)).toMatchObject({ parameters })
  })

  test('safetensors is read where both are there', async () => {
    const folder = await newFolder()
    for (const file of ['config.json', 'model.safetensors'])
      await copyFile(`test/golden/hf-mamba/${file}`, join(folder, file))
    await writeFile(join(folder, 'pytorch_model.bin'), 'not one that could be read')
    expect((await openCheckpoint(folder)).weights.size).toBe(32)
  })

  test('an index whose shard lacks a tensor, or is missing', async () => {
    const folder = await newFolder()
    const tensors = await stored('test/golden/hf-mamba/model.safetensors')
    await copyFile('test/golden/hf-mamba/config.json', join(folder, 'config.json'))
    await writeTorch(folder, tensors, 'shards')
    const second = join(folder, 'pytorch_model-00002-of-00002.bin')
    await writeFile(second, archive(tensors.slice(-3)))
    await expect(openCheckpoint(folder)).rejects.toThrow('is missing, though the index names it')
    const index = join(folder, 'pytorch_model.bin.index.json')
    await writeFile(index, JSON.stringify({ weight_map: { a: 'pytorch_model-00003-of-00003.bin' } }))
    await expect(openCheckpoint(folder)).rejects.toThrow('pytorch_model-00003-of-00003.bin: no such file')
  })
})

describe('tensors', () => {
  test('of every type', async () => {
    const data = Uint8Array.from({ length: 48 }, (_, i) => i)
    const all = Object.keys(bytesPer).map((dtype) => ({
      name: dtype,
      dtype,
      shape: [48 / bytesPer[dtype]],
      data: data.slice(),
    }))
    for (const bytes of [archive(all), legacy(all)]) {
      await opened(bytes, async (file) => {
        for (const { name, dtype, shape } of all) {
          const read = new Uint8Array(48)
          await file.read(name, 0, read)
          expect([file.info(name), read]).toMatchObject([{ dtype, shape, bytes: 48 }, data])
        }
      })
    }
  })

  test('of integers, as complement maps are', async () => {
    const data = bytesOf(BigInt64Array.of(3n, 2n, 1n, 0n))
    await opened(archive([{ name: 'map', dtype: 'I64', shape: [4], data }]), async (file) =>
      expect(await file.integers('map')).toEqual(Int32Array.of(3, 2, 1, 0)),
    )
  })

  test('that are parameters, that are empty, that have no dimensions', async () => {
    const view = { key: '0', dtype: 'F32', length: 2 }
    const object = pickle(
      ordered(
        text('parameter'),
        ops(global('torch._utils._rebuild_parameter'), tuple(tensor({ ...view, shape: [2] }), '\x88', ordered()), 'R'),
        text('empty'),
        tensor({ ...view, shape: [0, 4] }),
        text('scalar'),
        tensor({ ...view, offset: 1, shape: [] }),
      ),
    )
    await opened(zipFile(archiveEntries(object, [['0', bytesOf(Float32Array.of(1, 2))]])), async (file) => {
      expect(widened(await file.weight('parameter'))).toEqual(Float32Array.of(1, 2))
      expect(widened(await file.weight('empty'))).toEqual(new Float32Array())
      expect(widened(await file.weight('scalar'))).toEqual(Float32Array.of(2))
    })
  })

  test.each<[string, Partial<View> & { shape: number[] }, number[]]>([
    ['from the middle of a storage', { offset: 3, shape: [2, 2] }, [3, 4, 5, 6]],
    ['transposed', { shape: [3, 4], strides: [1, 3] }, [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]],
    [
      'every second column of the second half',
      { offset: 12, shape: [3, 2], strides: [4, 2] },
      [12, 14, 16, 18, 20, 22],
    ],
    ['of permuted dimensions', { shape: [2, 2, 3], strides: [3, 12, 1] }, [0, 1, 2, 12, 13, 14, 3, 4, 5, 15, 16, 17]],
    ['with odd strides along a dimension of one', { shape: [1, 3], strides: [9, 1] }, [0, 1, 2]],
  ])('%s', async (_, view, numbers) => {
    const all = Float32Array.from({ length: 24 }, (_, i) => i)
    await opened(viewOf(all, view), async (file) =>
      expect(widened(await file.weight('w'))).toEqual(Float32Array.from(numbers)),
    )
  })

  test('transposed, larger than what is read at once', async () => {
    const [R, C] = [700, 900]
    const all = noise(R * C, 5)
    await opened(viewOf(all, { shape: [C, R], strides: [1, C] }), async (file) => {
      const got = widened(await file.weight('w'))
      const want = Float32Array.from({ length: R * C }, (_, i) => all[(i % R) * C + Math.floor(i / R)])
      expect(Buffer.compare(bytesOf(got), bytesOf(want))).toBe(0)
    })
  })

  test('tied ones, both transposed', async () => {
    const folder = await newFolder()
    const tensors = await stored('test/golden/hf-mamba/model.safetensors')
    const { data, shape } = tensors.find(({ name }) => name === 'backbone.embeddings.weight')!
    const [V, D] = shape
    const numbers = new Float32Array(data.buffer)
    const columns = Float32Array.from({ length: V * D }, (_, i) => numbers[(i % V) * D + Math.floor(i / V)])
    const rest = tensors.filter(({ name }) => name !== 'backbone.embeddings.weight')
    const head = { dtype: 'F32', length: V * D, shape, strides: [1, V] }
    const items = rest.flatMap(({ name, dtype, shape, data }, i) => [
      text(name),
      tensor({ key: String(i), dtype, shape, length: data.length / 4 }),
    ])
    items.push(text('backbone.embeddings.weight'), tensor({ ...head, key: 'a' }))
    items.push(text('lm_head.weight'), tensor({ ...head, key: 'b' }))
    const storages = [...rest.map(({ data }, i) => [String(i), data] as [string, Uint8Array])]
    storages.push(['a', bytesOf(columns)], ['b', bytesOf(columns)])
    await copyFile('test/golden/hf-mamba/config.json', join(folder, 'config.json'))
    await writeFile(join(folder, 'pytorch_model.bin'), zipFile(archiveEntries(pickle(ordered(...items)), storages)))
    const [got, want] = [await openCheckpoint(folder), await openCheckpoint('test/golden/hf-mamba')]
    expectSame(got, want)
  })

  test('behind a directory of 64 bits', async () => {
    const saved = [{ name: 'w', dtype: 'F32', shape: [3], data: bytesOf(Float32Array.of(1, 2, 3)) }]
    await opened(zip64(archive(saved)), async (file) =>
      expect(widened(await file.weight('w'))).toEqual(Float32Array.of(1, 2, 3)),
    )
  })

  test('beyond 4 GB', async () => {
    const object = pickle(ordered(text('w'), tensor({ key: '0', dtype: 'F32', length: 3, shape: [3] })))
    const entries = archiveEntries(object, [['0', bytesOf(Float32Array.of(1, 2, 3))]]).slice(0, 3)
    const near = zipFile(entries)
    const [begin, hole] = [near.lastIndexOf('PK\x03\x04'), 4_500_000_000]
    const far = zipFile([...entries.slice(0, 2), { ...entries[2], at: begin + hole }])
    const directory = BigInt(far.readUInt32LE(far.length - 6) + hole)
    const zip = zip64(far, { directory, record: BigInt(far.length - 22 + hole) })
    const path = await fileOf(zip.subarray(0, begin))
    const writer = await openFile(path, 'r+')
    await writer.write(zip, begin, zip.length - begin, begin + hole)
    await writer.close()
    const file = await PytorchFile.open(path)
    expect(widened(await file.weight('w'))).toEqual(Float32Array.of(1, 2, 3))
    await file.close()
  })

  const four = Float32Array.of(1, 2, 3, 4)
  test.each<[string, Uint8Array, string]>([
    ['beyond the storage', viewOf(four, { shape: [5] }), 'tensor w ends at byte 20 of storage 0, which has 16'],
    ['beyond it by the offset', viewOf(four, { offset: 3, shape: [2] }), 'tensor w ends at byte 20 of storage 0'],
    ['beyond it by a stride', viewOf(four, { shape: [3], strides: [2] }), 'tensor w ends at byte 20 of storage 0'],
    [
      'of more values than can be counted',
      viewOf(four, { shape: [2 ** 52, 2 ** 52], strides: [2 ** 52, 1] }),
      'tensor w ends at byte 8.112963841460668e+31 of storage 0',
    ],
    ['that step back', viewOf(four, { shape: [2], strides: [-1] }), 'has -1 for a stride'],
    ['of negative length', viewOf(four, { shape: [-2] }), 'has -2 for a size'],
    ['before the storage', viewOf(four, { shape: [2], offset: -1 }), 'has -1 for an offset'],
    [
      'that repeat a value',
      viewOf(four, { shape: [2 ** 40], strides: [0] }),
      'tensor w has strides [0], by which values of [1099511627776] overlap',
    ],
    ['that lie over each other', viewOf(four, { shape: [2, 2], strides: [1, 1] }), 'by which values of [2, 2] overlap'],
    ['with fewer strides', viewOf(four, { shape: [2, 2], strides: [1] }), 'has 1 strides for 2 dimensions'],
    ['of 65 dimensions', viewOf(four, { shape: Array(65).fill(1) }), 'has a tuple for a size'],
    [
      'of a storage that is shorter than it says',
      viewOf(four, { shape: [4] }, 2 ** 50),
      'tensor w is of storage 0 of 16 bytes, expected 4503599627370496',
    ],
    ['of no storage', viewOf(four, { key: '7', shape: [4] }), 'tensor w is of storage 7, which is missing'],
    [
      'that are many views of one storage',
      zipFile(
        archiveEntries(
          pickle(
            ordered(
              ...Array.from({ length: 64 }, (_, i) =>
                ops(text(`${i}`), tensor({ key: '0', dtype: 'F32', length: 10_000, shape: [10_000] })),
              ),
            ),
          ),
          [['0', new Uint8Array(40_000)]],
        ),
      ),
      '2560000 bytes of tensors in a file of ',
    ],
  ])('%s are refused', async (_, bytes, message) => {
    expect(await refusal(bytes)).toContain(message)
  })
})

describe('pickles that are more than a state dict', () => {
  const object = (...pieces: Parameters<typeof pickle>) => zipFile(archiveEntries(pickle(...pieces), []))
  const opcode = (name: string) =>
    `pickle has the opcode ${name}, which is refused: only tensors and containers are read`
  const v2 = global('torch._utils._rebuild_tensor_v2')
  const w = storage({ key: '0', dtype: 'F32', length: 1, shape: [] })

  test.each<[string, Uint8Array, string]>([
    ['call a function', object(global('os.system'), text('true'), '\x85R'), 'pickle names os.system, which is refused'],
    ['only name one', object(global('builtins.eval')), 'pickle names builtins.eval, which is refused'],
    ['name what every object has', object(global('torch.__proto__')), 'pickle names torch.__proto__, which is refused'],
    ['name without a module', object('cconstructor\n\n'), 'pickle names constructor., which is refused'],
    ['name endlessly', object(`c${'a'.repeat(10_000)}\nb\n`), 'pickle names aaaa'],
    ['name by the stack', object(text('os'), text('system'), '\x93'), opcode('STACK_GLOBAL')],
    ['are instances', object('(ios\nsystem\n'), opcode('INST')],
    ['are objects', object('(', global('collections.OrderedDict'), 'o'), opcode('OBJ')],
    ['are new objects', object(global('collections.OrderedDict'), ')\x81'), opcode('NEWOBJ')],
    ['are new objects with keywords', object(global('collections.OrderedDict'), ')}\x92'), opcode('NEWOBJ_EX')],
    ['name by number', object('\x82\x01'), opcode('EXT1')],
    ['name by a larger number', object('\x84\x01\x00\x00\x00'), opcode('EXT4')],
    ['refer by a line', object('Pos\n'), opcode('PERSID')],
    ['put attributes on a list', object(']}b'), 'pickle has the opcode BUILD for a list, which is refused'],
    ['put attributes on a dict', object('}}b'), 'pickle has the opcode BUILD for a dict, which is refused'],
    ['put attributes on a name', object(global('torch.FloatStorage'), '}b'), 'BUILD for torch.FloatStorage'],
    ['put what is no dict for attributes', object(ordered(), '](b'), 'takes more from the stack than is there'],
    ['set a state', object(ordered(), '}}\x86b'), 'BUILD for a dict'],
    ['duplicate', object('}2'), opcode('DUP')],
    ['are of bytes', object('C\x01a'), opcode('SHORT_BINBYTES')],
    ['are sets', object('\x8f'), opcode('EMPTY_SET')],
    ['have an opcode that is none', object('\xff'), opcode('0xff')],
    ['are of protocol 4', zipFile(archiveEntries(ops('\x80\x04}.'), [])), 'pickle is of protocol 4, expected 2'],
    ['call what is no function', object(global('torch.FloatStorage'), ')R'), 'pickle calls torch.FloatStorage'],
    ['call a text', object(text('os.system'), ')R'), 'pickle calls a string'],
    ['call with no tuple', object(v2, ']R'), 'pickle calls torch._utils._rebuild_tensor_v2 with a list'],
    ['call with nothing', object(v2, ')R'), 'pickle has None for a storage'],
    ['fill a dict by a call', object(global('collections.OrderedDict'), ']\x85R'), 'in a way that torch does not'],
    ['refer to what is no storage', object(text('os'), 'Q'), 'pickle refers to something that is no storage'],
    ['refer to a tuple of anything', object(tuple(text('module'), text('os')), 'Q'), 'something that is no storage'],
    [
      'describe a storage in two ways',
      object('(', w, storage({ key: '0', dtype: 'F32', length: 2, shape: [] }), 't'),
      'in two ways',
    ],
    [
      'have a type that is none',
      object(global('torch._utils._rebuild_tensor_v3'), tuple(w, 'K\x00', ')', ')', '\x89', '}', text('F32')), 'R'),
      'pickle has a string for the type',
    ],
    ['nest without end', object('('.repeat(100_000)), 'pickle nests deeper than 64 levels'],
    ['nest in tuples of one', object(')', '\x85'.repeat(500_000)), 'holds a tuple, expected a dict of tensors'],
    ['hold more than any', object('(', ']'.repeat(2 ** 20 + 1), 't'), 'pickle holds more than 1048576 values'],
    ['keep far more than they hold', object('}', 'r\xff\xff\xff\xff'), 'pickle keeps a value as number 4294967295'],
    ['keep one value all the time', object('}', 'q\x00'.repeat(2 ** 23 + 9)), 'pickle takes more than 16777216 bytes'],
    ['ask for what they have not kept', object('h\x07'), 'pickle asks for value 7, which it has not kept'],
    ['hold a number without end', object('\x8b\xff\xff\xff\x7f'), opcode('LONG4')],
    ['hold a number of 255 bytes', object('\x8a\xff', new Uint8Array(255)), 'pickle holds a number of 255 bytes'],
    ['hold a number above 2^53', object('\x8a\x08', u64(2n ** 53n)), 'pickle holds the number 9007199254740992'],
    ['hold a text of 4 GB', object('X', u32(0xffffffff)), 'holds a text of 4294967295 bytes, expected at most 65536'],
    ['hold a text beyond the end', object('X', u32(100)), 'ends too early'],
    ['take what is not there', object('0'), opcode('POP')],
    ['take below a mark', object('}(\x85'), 'pickle takes more from the stack than is there'],
    ['close what is not open', object('}u'), 'pickle takes more from the stack than is there'],
    ['set items of a list', object('](K\x01K\x02u'), 'pickle sets items of a list'],
    ['set half an item', object('}(K\x01u'), 'pickle sets items of a dict'],
    ['append to a tuple', object(')K\x01a'), 'pickle appends to a tuple'],
    ['have a dict for a key', object('}}K\x01s'), 'pickle has a dict for a key'],
    ['have a key twice', object('}', text('w'), 'N', 's', text('w'), 'N', 's'), 'pickle has the key w twice'],
    ['have nothing', object(), 'pickle takes more from the stack than is there'],
    ['do not stop', zipFile(archiveEntries(ops('\x80\x02}'), [])), 'ends too early'],
    ['are a number', object('K\x01'), 'holds a number, expected a dict of tensors'],
    [
      'are a training state',
      object('}', text('epoch'), 'K\x03', 's'),
      'holds a number as epoch, expected nothing but tensors',
    ],
    [
      'hold what is no tensor',
      object('}', text('model'), '}', 's'),
      'holds a dict as model, expected nothing but tensors',
    ],
    ['have numbers for names', object('}', 'K\x03N', 's'), 'holds None as 3, expected nothing but tensors'],
  ])('that %s are refused', async (_, bytes, message) => {
    expect(await refusal(bytes)).toContain(message)
  })

  test('a billion values out of thirty tuples are one error, at once', async () => {
    const tenOf = (i: number) => ops('(', `h${String.fromCharCode(i)}`.repeat(10), `tq${String.fromCharCode(i + 1)}`)
    const bomb = ops(
      '}',
      text('w'),
      ')q\x00',
      ...Array.from({ length: 30 }, (_, i) => ops('0', tenOf(i)).subarray(1)),
      's',
    )
    expect(bomb.length).toBeLessThan(1000)
    await readOrRefused(69, () => fileOf(object(bomb)).then((path) => PytorchFile.open(path)))
  })

  test('a list that holds itself is one error', async () => {
    expect(await refusal(object('}', text('w'), ']q\x00h\x00as'))).toContain('holds a list as w')
  })

  test('the files of bin-hostile, which torch refuses too', async () => {
    const cases: Record<string, { expect: string }> = JSON.parse(
      await readFile('test/checkpoints/bin-hostile/cases.json', 'utf8'),
    )
    const lines: Record<string, string> = {}
    for (const name of Object.keys(cases))
      lines[name] = await refusal(await readFile(`test/checkpoints/bin-hostile/${name}`))
    expect(lines).toEqual({
      'os_system_zip.bin': expect.stringMatching(/^pickle names posix\.system, which is refused/),
      'os_system_legacy.bin': expect.stringMatching(/^pickle names posix\.system, which is refused/),
      'huge_storage_zip.bin': expect.stringMatching(/storage 0 of 16 bytes, expected 4503599627370496$/),
      'view_out_of_range_zip.bin': expect.stringMatching(/ends at byte 4000 of storage 0, which has 16$/),
    })
  })
})

describe('files around the pickle', () => {
  const saved: Saved[] = [
    { name: 'a', dtype: 'F32', shape: [2], data: bytesOf(Float32Array.of(1, 2)) },
    { name: 'b', dtype: 'F32', shape: [1], data: bytesOf(Float32Array.of(3)) },
  ]
  const object = pickle(ordered(text('a'), tensor({ key: '0', dtype: 'F32', length: 2, shape: [2] })))
  const entries = archiveEntries(object, [['0', saved[0].data]])
  const [first, order, data, version] = entries
  const zip = zipFile(entries)
  const keys = (...names: string[]) => pickle('](', ...names.map(text), 'e')
  const stream = (...rest: Uint8Array[]) => ops(...magic, machine(), object, ...rest)

  test.each<[string, Uint8Array, string]>([
    ['empty', new Uint8Array(), 'not a file of torch.save'],
    ['of safetensors', ops(u64(2), '{}'), 'not a file of torch.save'],
    ['of a plain pickle', pickle('}'), 'not a file of torch.save'],
    ['of zip without a pickle', zipFile([version]), 'holds no data.pkl, so it is no file of torch.save'],
    ['of zip with two', zipFile([first, { ...first, name: 'b/data.pkl' }]), 'holds more than one data.pkl'],
    ['compressed', zipFile([{ ...first, method: 8 }]), 'entry archive/data.pkl is compressed'],
    ['encrypted', zipFile([{ ...first, flags: 1, bytes: 20 }]), 'not a whole zip file: compressed/uncompressed size'],
    ['strongly encrypted', zipFile([{ ...first, flags: 0x41 }]), 'strong encryption is not supported'],
    ['compressed and encrypted', zipFile([{ ...first, method: 8, flags: 1 }]), 'entry archive/data.pkl is encrypted'],
    ['with a name twice', zipFile([...entries, data]), 'entry archive/data/0 appears twice'],
    ['with entries in one place', zipFile([first, order, { ...data, name: 'archive/data/1', at: 0 }]), 'overlaps'],
    [
      'with an entry inside another',
      zipFile([
        first,
        { ...order, data: ops('PK\x03\x04', new Uint8Array(26), 'data'), name: 'archive/data/1' },
        { ...data, at: 30 + first.name.length + first.data.length + 44 },
      ]),
      'overlaps',
    ],
    ['with an entry beyond the end', zipFile([{ ...first, bytes: 10_000 }]), 'file data overflows file bounds'],
    ['with an entry elsewhere', zipFile([{ ...first, at: 10_000 }]), 'not a whole zip file: nothing at byte 10000'],
    ['with an entry nowhere', zipFile([first, { ...data, at: 7 }]), 'invalid local file header signature'],
    [
      'with a path for a name',
      zipFile([{ ...first, name: '../data.pkl' }]),
      'not a whole zip file: invalid relative path',
    ],
    [
      'with a long name',
      zipFile([{ ...first, name: `${'a'.repeat(60_000)}/data.pkl` }]),
      'has a name of 60009 characters',
    ],
    [
      'with a directory of 2^53',
      zip64(zip, { entries: 2n ** 53n }),
      'holds 9007199254740992 entries, expected at most 65536',
    ],
    ['with a directory of 2^64', zip64(zip, { entries: 2n ** 64n - 1n }), 'entries, expected at most 65536'],
    ['with a directory at 2^64', zip64(zip, { directory: 2n ** 64n - 1n }), 'nothing at byte 18446744073709552000'],
    ['with a record at 2^63', zip64(zip, { record: 2n ** 63n }), 'nothing at byte 9223372036854776000'],
    ['with a record in itself', zip64(zip, { record: 0n }), 'invalid zip64 end of central directory record signature'],
    ['of big-endian numbers', zipFile([first, { ...order, data: Buffer.from('big') }, data]), 'of another byte order'],
    [
      'of an endless byte order',
      zipFile([first, { ...order, data: new Uint8Array(1e6) }, data]),
      'holds a text of 1000000',
    ],
    ['a stream of big-endian numbers', ops(...magic, machine(false), object), 'of another byte order'],
    ['a stream that says nothing of it', ops(...magic, pickle('}'), object), 'of another byte order'],
    ['a stream of later days', ops(magic[0], pickle('M\xff\xff')), 'not a file of torch.save'],
    ['a stream without keys', stream(pickle('}')), 'has no list of storages'],
    ['a stream that ends at its keys', stream(keys('0')), 'ends too early'],
    [
      'a stream with a storage twice',
      stream(keys('0', '0'), u64(2), saved[0].data),
      'lists a storage that no tensor is of',
    ],
    [
      'a stream with an unknown storage',
      stream(keys('1'), u64(2), saved[0].data),
      'lists a storage that no tensor is of',
    ],
    ['a stream without a storage', stream(keys()), 'tensor a is of storage 0, which is missing'],
    ['a stream with a longer storage', stream(keys('0'), u64(3)), 'storage 0 is of 3 values, expected 2'],
    ['a stream with an endless storage', stream(keys('0'), u64(2n ** 60n)), 'holds a size of 1152921504606846976'],
    ['a stream that ends in a storage', stream(keys('0'), u64(2), new Uint8Array(7)), 'ends too early'],
    ['a stream that goes on', stream(keys('0'), u64(2), new Uint8Array(9)), '1 bytes after the last storage'],
    [
      'a stream that stores a call',
      ops(...magic, machine(), pickle(global('os.system'), ')R')),
      'pickle names os.system',
    ],
    ['a stream whose machine is a call', ops(...magic, pickle(global('os.system'), ')R')), 'pickle names os.system'],
    ['a stream whose keys are a call', stream(pickle(global('os.system'), ')R')), 'pickle names os.system'],
  ])('%s: refused in one line', async (_, bytes, message) => {
    expect(await refusal(bytes)).toContain(message)
  })

  test.each([
    ['zip', archive(saved)],
    ['zip of 64 bits', zip64(archive(saved))],
    ['stream', legacy(saved)],
  ])('a %s that is cut off anywhere is refused in one line', async (_, bytes) => {
    await opened(bytes, async (file) => expect(widened(await file.weight('b'))).toEqual(Float32Array.of(3)))
    const path = await fileOf(bytes)
    for (let length = bytes.length - 1; length >= 0; length--) {
      await writeFile(path, bytes.subarray(0, length))
      await expect(PytorchFile.open(path)).rejects.toMatchObject({
        exitCode: 69,
        message: expect.stringMatching(/^.+$/),
      })
    }
  })

  test('a folder by the name of the file', async () => {
    const folder = await newFolder()
    await mkdir(join(folder, 'pytorch_model.bin'))
    await expect(PytorchFile.open(join(folder, 'pytorch_model.bin'))).rejects.toThrow('a folder, expected a file')
  })
})

test('any program of opcodes is read or refused', async () => {
  const names = [
    'torch._utils._rebuild_tensor_v2',
    'collections.OrderedDict',
    'torch.FloatStorage',
    'os.system',
    'torch.Size',
  ]
  const piece = fc.oneof(
    fc.constantFrom(
      'N',
      '\x88',
      ')',
      ']',
      '}',
      '(',
      't',
      'R',
      'b',
      'Q',
      'a',
      'e',
      's',
      'u',
      '\x85',
      '\x86',
      '\x87',
      '.',
    ),
    fc.constantFrom(...names).map(global),
    fc.constantFrom('storage', 'cpu', '0', 'w').map(text),
    fc.integer({ min: -3, max: 2 ** 31 - 1 }).map(int),
    fc.nat(3).map((i) => `q${String.fromCharCode(i)}`),
    fc.nat(3).map((i) => `h${String.fromCharCode(i)}`),
    fc.constant(tensor({ key: '0', dtype: 'F32', length: 1, shape: [1] })),
    fc.uint8Array({ maxLength: 4 }),
  )
  const path = await fileOf(new Uint8Array())
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
      await writeFile(path, zipFile(archiveEntries(pickle('}', ...pieces), [['0', new Uint8Array(4)]])))
      await readOrRefused(69, async () => (await PytorchFile.open(path)).close())
    }),
    runs(500),
  )
})
