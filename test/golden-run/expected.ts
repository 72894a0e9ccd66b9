import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { widened } from '../../src/backends/weight.js'
import { SafetensorsFile } from '../../src/checkpoints/safetensors.js'
import type { Comparison } from './folders.js'

/** A tensor of a golden file; integers as they are. */
export interface Golden {
  shape: number[]
  data: Float32Array | Int32Array
}

export async function readGolden(path: string): Promise<Map<string, Golden>> {
  const file = await SafetensorsFile.open(path)
  const tensors = new Map<string, Golden>()
  for (const [name, { dtype, shape }] of file.tensors) {
    const data = dtype.startsWith('I') ? await file.integers(name) : widened(await file.weight(name))
    tensors.set(name, { shape, data })
  }
  await file.close()
  return tensors
}

/** config.json of a folder; the literal `Infinity` of Python is in the way of JSON.parse. */
export const readConfig = async (folder: string) =>
  JSON.parse((await readFile(join(folder, 'config.json'), 'utf8')).replaceAll(/\bInfinity\b/g, '1e999'))

/** Expected outputs with the tolerances of meta.json; keeps the result of every comparison. */
export class Expected {
  readonly comparisons: Comparison[] = []
  private readonly compared = new Set<string>()

  private constructor(
    private readonly tensors: Map<string, Golden>,
    private readonly tolerances: Record<string, { atol: number }>,
    private readonly slack: number,
  ) {}

  static async read(folder: string, slack: number): Promise<Expected> {
    const meta = JSON.parse(await readFile(join(folder, 'meta.json'), 'utf8'))
    return new Expected(await readGolden(join(folder, 'expected.safetensors')), meta.tensors, slack)
  }

  has(name: string): boolean {
    return this.tensors.has(name)
  }

  names(prefix: string): string[] {
    return [...this.tensors.keys()].filter((name) => name.startsWith(prefix))
  }

  /** An input, or an output by which another is read; it counts as used. */
  get(name: string): Golden {
    const tensor = this.tensors.get(name)
    if (!tensor) throw new Error(`expected.safetensors has no ${name}`)
    this.compared.add(name)
    return tensor
  }

  /**
   * Compares one tensor, the samples of a batch one after the other; where `mask` is given, only where it is 1. `apart`: how far the official
   * code is from itself, added to the tolerance.
   */
  compare(name: string, got: ArrayLike<number>, mask?: (index: number) => boolean, apart = 0): void {
    const { data } = this.get(name)
    let worst = got.length === data.length ? 0 : Number.POSITIVE_INFINITY
    for (let i = 0; i < data.length; i++) {
      if (mask && !mask(i)) continue
      const difference = Math.abs(got[i] - data[i])
      if (!(difference <= worst)) worst = difference
    }
    const tolerance = (this.tolerances[name]?.atol ?? 0) * this.slack + apart
    this.comparisons.push({ what: name, share: worst === 0 ? 0 : worst / tolerance })
  }

  leaveOut(prefix: string): void {
    for (const name of this.names(prefix)) this.compared.add(name)
  }

  /** Whatever nobody has asked for is a miss: nothing is left out in silence. */
  checkAllCompared(ignored: RegExp): void {
    for (const name of this.tensors.keys()) {
      if (!this.compared.has(name) && !ignored.test(name))
        this.comparisons.push({ what: `${name} (not compared)`, share: Number.NaN })
    }
  }
}
