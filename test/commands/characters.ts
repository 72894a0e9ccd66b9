import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SafetensorsFile } from '../../src/checkpoints/safetensors.js'
import { packageRoot } from '../../src/runtime/package-root.js'

/** 64 characters, each a token: ids become texts and back. */
export const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Copies a golden model to a folder, with a tokenizer of these. Gives the ids of its greedy continuation, behind the five that it continues. */
export async function spelledGolden(name: string, folder: string): Promise<number[]> {
  const golden = join(packageRoot, 'test/golden', name)
  cpSync(golden, folder, { recursive: true })
  const tokenizer = JSON.parse(readFileSync(join(packageRoot, 'test/specimens/text/characters.json'), 'utf8'))
  const { vocab_size } = JSON.parse(readFileSync(join(golden, 'config.json'), 'utf8'))
  const vocab = Object.fromEntries([...characters].slice(0, vocab_size).map((letter, id) => [letter, id]))
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ ...tokenizer, model: { ...tokenizer.model, vocab } }))
  const file = await SafetensorsFile.open(join(golden, 'expected.safetensors'))
  const ids = [...(await file.integers('greedy.output_ids'))]
  await file.close()
  return ids
}
