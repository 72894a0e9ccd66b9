import { join } from 'node:path'
import { isFile } from '../files.js'
import { shardsOf, weightFiles } from '../tensors.js'

/** What is read besides weights: the config, the tokenizer, and the card, which says the licence. */
const small = [
  'README.md',
  'config.json',
  'generation_config.json',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer_config.json',
]

/**
 * Of the files of a repository those that a model is read from; weights of other frameworks, of other precisions and of training states are left where
 * they are. `first` says which shards there are.
 */
export function wantedFiles(names: ReadonlySet<string>): { first: string[]; index?: string; weights: string[] } {
  const first = small.filter((name) => names.has(name))
  for (const file of weightFiles) {
    if (names.has(file)) return { first, weights: [file] }
    const index = `${file}.index.json`
    if (names.has(index)) return { first: [...first, index], index, weights: [] }
  }
  return { first, weights: [] }
}

/** Whether a folder has a config and weights, with every shard. */
export async function isWhole(folder: string): Promise<boolean> {
  if (!(await isFile(join(folder, 'config.json')))) return false
  for (const file of weightFiles) {
    if (await isFile(join(folder, file))) return true
    const index = join(folder, `${file}.index.json`)
    if (!(await isFile(index))) continue
    const shards = await shardsOf(index).catch(() => null)
    if (shards === null) return false
    const there = await Promise.all(shards.map((shard) => isFile(join(folder, shard))))
    return there.every(Boolean)
  }
  return false
}
