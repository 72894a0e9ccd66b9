import { access, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { notFinite, type Weight } from '../backends/weight.js'
import { checked, openRecord } from '../text/schema.js'
import { broken, readText } from './files.js'
import { parseObject } from './json.js'
import { SafetensorsFile } from './safetensors.js'
import type { TensorFile } from './tensor-file.js'

const pieceBytes = 2 ** 20

/** A way to store tensors: the name of the file that holds them all. */
interface Form {
  file: string
  open(path: string): Promise<TensorFile>
}

/** The first that a folder has is read: where both are there, they hold the same. */
const forms: readonly Form[] = [
  { file: 'model.safetensors', open: (path) => SafetensorsFile.open(path) },
  {
    file: 'pytorch_model.bin',
    open: async (path) => (await import('./pytorch/pytorch-file.js')).PytorchFile.open(path),
  },
]

/**
 * The tensors of a checkpoint folder, in one file or in shards. What a layout reads is checked against the shape it
 * expects and marked as used, so that in the end nothing in the files has been ignored in silence.
 */
export class Tensors {
  private readonly used = new Set<string>()

  private constructor(
    /** What error lines call the checkpoint's weights. */
    readonly path: string,
    readonly files: readonly TensorFile[],
    private readonly where: ReadonlyMap<string, TensorFile>,
  ) {}

  /** The first that is there of `forms`, as one file or in the shards that its index names. Errors: 69. */
  static async open(folder: string): Promise<Tensors> {
    for (const form of forms) {
      const single = join(folder, form.file)
      if (await exists(single)) return Tensors.of(single, [single], form)
      const index = `${single}.index.json`
      if (await exists(index)) return openShards(folder, index, form)
    }
    const expected = `expected ${forms.map(({ file }) => `${file} or ${file}.index.json`).join(', ')}`
    const names = await readdir(folder).catch(() => [])
    const other = names.sort().find((name) => /\.(bin|pt|pth|ckpt|safetensors)$/.test(name))
    if (other !== undefined) throw broken(folder, `holds ${other}, ${expected}`)
    throw broken(folder, `no weights: ${expected}`)
  }

  static async of(path: string, paths: readonly string[], form: Form): Promise<Tensors> {
    const files: TensorFile[] = []
    const where = new Map<string, TensorFile>()
    try {
      for (const each of paths) {
        const file = await form.open(each)
        files.push(file)
        for (const name of file.tensors.keys()) {
          if (where.has(name)) throw broken(each, `tensor ${name} is already in ${where.get(name)?.path}`)
          where.set(name, file)
        }
      }
    } catch (error) {
      await Promise.all(files.map((file) => file.close()))
      throw error
    }
    return new Tensors(path, files, where)
  }

  get names(): string[] {
    return [...this.where.keys()]
  }

  has(name: string): boolean {
    return this.where.has(name)
  }

  /** The shape of a tensor of `rank` dimensions. Errors: 69 when it is missing, has another rank or holds nothing. */
  shape(name: string, rank: number): number[] {
    const { shape } = this.file(name).info(name)
    if (shape.length !== rank) throw this.broken(name, `is [${shape.join(', ')}], expected ${rank} dimensions`)
    if (shape.includes(0)) throw this.broken(name, `is [${shape.join(', ')}], expected no length of 0`)
    return shape
  }

  /**
   * Reads a tensor of exactly this shape, as a matrix: all dimensions before the last are its rows, [n] is [1, n]. Errors: 69, also
   * for a value that is no finite number, with its place.
   */
  async weight(name: string, expected: readonly number[]): Promise<Weight> {
    this.check(name, expected)
    const weight = await this.file(name).weight(name)
    const wrong = notFinite(weight)
    if (!wrong) return weight
    const place = placeOf(wrong.index, expected).join(', ')
    throw this.broken(name, `holds ${wrong.value} at [${place}], expected finite numbers`)
  }

  async integers(name: string, expected: readonly number[]): Promise<Int32Array> {
    this.check(name, expected)
    return this.file(name).integers(name)
  }

  /** True when both tensors hold the same values in the same type: a tied pair that was saved twice. */
  async equal(a: string, b: string): Promise<boolean> {
    const [x, y] = [this.file(a), this.file(b)]
    const [{ dtype, shape, begin, bytes, strides }, other] = [x.info(a), y.info(b)]
    if (dtype !== other.dtype || shape.join() !== other.shape.join()) return false
    if (x === y && begin === other.begin && strides?.join() === other.strides?.join()) return true
    // Piece by piece: whole, the largest weight of a model would be in memory twice.
    const step = strides || other.strides ? bytes : Math.min(pieceBytes, bytes)
    const pieces = [Buffer.alloc(step), Buffer.alloc(step)]
    for (let from = 0; from < bytes; from += step) {
      const [p, q] = pieces.map((piece) => piece.subarray(0, bytes - from))
      await x.read(a, from, p)
      await y.read(b, from, q)
      if (!p.equals(q)) return false
    }
    return true
  }

  /** Marks a tensor as known and not needed. */
  skip(name: string): void {
    this.used.add(name)
  }

  /** Errors: 69 with the first tensor that no layout has asked for. */
  checkAllUsed(): void {
    const left = this.names.filter((name) => !this.used.has(name))
    if (left.length === 0) return
    const more = left.length > 1 ? ` (and ${left.length - 1} more)` : ''
    throw this.broken(left[0], `is unknown to this layout${more}`)
  }

  broken(name: string, what: string): Error {
    return broken(this.where.get(name)?.path ?? this.path, `tensor ${name} ${what}`)
  }

  async close(): Promise<void> {
    await Promise.all(this.files.map((file) => file.close()))
  }

  private file(name: string): TensorFile {
    const file = this.where.get(name)
    if (!file) throw this.missing(name)
    return file
  }

  private missing(name: string): Error {
    const longer = this.names.find((other) => other.endsWith(`.${name}`))
    if (longer === undefined) return this.broken(name, 'is missing')
    const prefix = longer.slice(0, -name.length)
    return this.broken(name, `is missing, but there is ${longer}: take the prefix '${prefix}' off all names`)
  }

  private check(name: string, expected: readonly number[]): void {
    const { shape } = this.file(name).info(name)
    if (shape.length !== expected.length || shape.some((n, i) => n !== expected[i])) {
      throw this.broken(name, `is [${shape.join(', ')}], expected [${expected.join(', ')}]`)
    }
    this.used.add(name)
  }
}

/** The indexes of a value of a row-major tensor. */
function placeOf(index: number, shape: readonly number[]): number[] {
  const place: number[] = []
  let rest = index
  for (const length of shape.toReversed()) {
    place.unshift(rest % length)
    rest = Math.floor(rest / length)
  }
  return place
}

/** The files that may hold a checkpoint's weights; of each the index of its shards ends in `.index.json`. */
export const weightFiles: readonly string[] = forms.map(({ file }) => file)

/** Which shard holds which tensor. */
const indexSchema = openRecord({
  weight_map: v.record(
    v.string(),
    v.message(v.pipe(v.string(), v.regex(/^[^/\\]{1,255}$/)), 'a file name'),
    'an object',
  ),
})

/** The shard of every tensor, by an index file, and the shards. Errors: 69. */
async function readIndex(index: string): Promise<{ entries: [string, string][]; shards: string[] }> {
  const { weight_map } = checked(indexSchema, parseObject(index, await readText(index)), '', (what) =>
    broken(index, what),
  )
  return { entries: Object.entries(weight_map), shards: [...new Set(Object.values(weight_map))].sort() }
}

/** The shards that an index file names. Errors: 69. */
export const shardsOf = async (index: string) => (await readIndex(index)).shards

async function openShards(folder: string, index: string, form: Form): Promise<Tensors> {
  const { entries, shards } = await readIndex(index)
  const tensors = await Tensors.of(
    index,
    shards.map((file) => join(folder, file)),
    form,
  )
  const missing = entries.find(([name]) => !tensors.has(name))
  if (missing) {
    await tensors.close()
    throw broken(join(folder, missing[1]), `tensor ${missing[0]} is missing, though the index names it`)
  }
  return tensors
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
