import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runMeasured } from './child.js'
import { inFolder, writeLong } from './inputs.js'
import { type Shape, shapeName, writeRandomModel } from './models.js'
import type { OnRound } from './report.js'

/** All rows of one record as `cpu` computes them against those of `reference`, which computes in float64. */
export interface EqualityRow {
  model: string
  tokens: number
  /** The largest number of any row, and the largest difference of any two. */
  largest: number
  worst_difference: number
  /** What float32 may differ by. */
  allowed: number
  equal: boolean
}

export interface EqualityOptions {
  shape: Pick<Shape, 'layers' | 'd_model'>
  /** Bases of the record; 0: nothing is compared. */
  tokens: number
  threads: number
  onRound?: OnRound
}

/** A model that reads both ways, its directions sharing their projections, on the two devices. */
export async function compareWithReference({
  shape,
  tokens,
  threads,
  onRound,
}: EqualityOptions): Promise<EqualityRow[]> {
  if (tokens === 0) return []
  return inFolder(async (folder) => {
    const model = { ...shape, bidirectional: true }
    const path = join(folder, 'model')
    await writeRandomModel(path, model, tokens)
    const record = await writeLong(join(folder, 'record.fa'), tokens)
    const rowsOn = async (device: string) => {
      const output = join(folder, `${device}.npy`)
      const flags = ['-d', device, '-t', String(threads), '--strand', '+', '--pool', 'none', '-q', '-o', output]
      await runMeasured(['embed', '-m', path, ...flags, record.path])
      return numbersOf(await readFile(output))
    }
    const [cpu, reference] = [await rowsOn('cpu'), await rowsOn('reference')]
    onRound?.(1, 'reference')
    return [{ model: shapeName(model), tokens: record.bases, ...compared(cpu, reference) }]
  })
}

/** Behind the header of an .npy. */
const numbersOf = ({ buffer, byteOffset, length }: Buffer) =>
  new Float32Array(buffer.slice(byteOffset + 128, byteOffset + length))

/** 256 roundings of the largest number are allowed; of 300 tokens through 16 layers 15 were seen, a wrong state makes thousands. */
export function compared(got: Float32Array, expected: Float32Array) {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const worst = got.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0)
  const allowed = 2 ** -16 * largest
  return { largest, worst_difference: worst, allowed, equal: got.length === expected.length && worst <= allowed }
}
