import { mkdtempSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { widened } from '../../src/backends/weight.js'
import { SafetensorsFile } from '../../src/checkpoints/safetensors.js'
import { type StoredTensor, writeSafetensors } from '../../src/checkpoints/safetensors-write.js'
import type { Raw } from './official.js'

/** Checkpoint folders that tests write, removed afterwards. */
const scratch = mkdtempSync(join(tmpdir(), 'longwave-test-'))
afterAll(() => rm(scratch, { recursive: true, force: true }))
let made = 0

export async function newFolder(): Promise<string> {
  const folder = join(scratch, String(made++))
  await mkdir(folder)
  return folder
}

export type Config = Record<string, unknown>
export type RawTensors = Map<string, Raw>

/** The config and the tensors of a golden folder, to be changed and written again. */
export async function goldenModel(
  name: string,
): Promise<{ config: Config; raw: RawTensors; maps: Map<string, Int32Array> }> {
  const folder = `test/golden/${name}`
  // As JSON has it, and transformers 5 writes it.
  const text = (await readFile(`${folder}/config.json`, 'utf8')).replace(/\bInfinity\b/, '{"__float__": "Infinity"}')
  const config = JSON.parse(text)
  const file = await SafetensorsFile.open(`${folder}/model.safetensors`)
  const raw: RawTensors = new Map()
  const maps = new Map<string, Int32Array>()
  for (const [tensor, { dtype, shape }] of file.tensors) {
    if (dtype === 'I64') maps.set(tensor, await file.integers(tensor))
    else raw.set(tensor, { shape, values: widened(await file.weight(tensor)) })
  }
  await file.close()
  return { config, raw, maps }
}

export async function writeModel(
  config: Config,
  raw: RawTensors,
  maps = new Map<string, Int32Array>(),
): Promise<string> {
  const folder = await newFolder()
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  const integers = [...maps].map(([name, map]) => integerTensor(name, map))
  await writeSafetensors(join(folder, 'model.safetensors'), [...floatTensors(raw), ...integers])
  return folder
}

export function floatTensors(raw: RawTensors): StoredTensor[] {
  return [...raw].map(([name, { shape, values }]) => ({ name, dtype: 'F32', shape, data: values }))
}

export function integerTensor(name: string, values: Int32Array): StoredTensor {
  return { name, dtype: 'I64', shape: [values.length], data: BigInt64Array.from(values, BigInt) }
}

/** Values around zero that are the same in every run. */
export function noise(length: number, seed: number, scale = 0.5): Float32Array {
  let state = seed * 2654435761 + 1
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state / 2 ** 31 - 1) * scale
  })
}
