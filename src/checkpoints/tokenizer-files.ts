import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { ModelSpec } from '../spec.js'
import { TextTokenizer } from '../tokens/text.js'
import { Config } from './config.js'
import { broken } from './files.js'

/** The files of a tokenizer, as the hub names them. */
export const tokenizerFiles = ['tokenizer.json', 'tokenizer_config.json'] as const

/**
 * The tokenizer beside a checkpoint that reads token ids. Errors: 69 where there is none, or one that does not fit its
 * embedding.
 */
export async function readTokenizer(folder: string, { input }: ModelSpec): Promise<TextTokenizer> {
  const vocab = input.kind === 'tokens' ? input.vocab_size : 0
  const [file, configFile] = tokenizerFiles.map((name) => join(folder, name))
  if (!(await exists(file))) {
    const cure = `put ${tokenizerFiles.join(' and ')} of its tokenizer into the folder (state-spaces: of EleutherAI/gpt-neox-20b)`
    throw broken(folder, `no tokenizer.json, so this model reads token ids and no text; ${cure}`)
  }
  const tokenizer = tokenizerOf(file, (await Config.read(file)).values, await optional(configFile))
  if (tokenizer.size > vocab)
    throw broken(file, `has ids up to ${tokenizer.size - 1}, but the embedding of the model has ${vocab} rows`)
  return tokenizer
}

/** Errors: 69 where a tokenizer lies beside a checkpoint and has other ids for tokens than those that are taken for granted, in order. */
export async function checkIds(folder: string, tokens: readonly string[]): Promise<void> {
  const file = join(folder, tokenizerFiles[0])
  const { model } = (await optional(file)) as { model?: { vocab?: Record<string, unknown> } }
  const idOf = (token: string) => model?.vocab?.[token] ?? model?.vocab?.[token.toLowerCase()]
  const other = tokens.findIndex((token, id) => (idOf(token) ?? id) !== id)
  if (other >= 0) throw broken(file, `has the id ${idOf(tokens[other])} for ${tokens[other]}, expected ${other}`)
}

/**
 * The ids that end a text: as the files of the checkpoint say that are about generation, the model or the tokenizer, the first that
 * does. Errors: 69.
 */
export async function readEnds(
  folder: string,
  config: Record<string, unknown>,
  tokenizer: TextTokenizer,
): Promise<number[]> {
  const said = [(await optional(join(folder, 'generation_config.json'))).eos_token_id, config.eos_token_id]
  const ids = said.find((value) => value !== undefined && value !== null)
  if (ids !== undefined) return [ids].flat().filter((id) => typeof id === 'number')
  const { eos_token: named } = await optional(join(folder, tokenizerFiles[1]))
  const token = typeof named === 'object' && named !== null && 'content' in named ? named.content : named
  const id = typeof token === 'string' ? tokenizer.id(token) : undefined
  return id === undefined ? [] : [id]
}

/** What a file says that need not be there. */
const optional = async (file: string): Promise<Readonly<Record<string, unknown>>> =>
  (await exists(file)) ? (await Config.read(file)).values : {}

function tokenizerOf(file: string, tokenizer: object, config: object): TextTokenizer {
  try {
    return new TextTokenizer({ tokenizer, config })
  } catch (error) {
    throw broken(file, `no tokenizer that can be read: ${(error as Error).message}`)
  }
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )
