import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { caduceusVocabulary, decodeCaduceus, encodeCaduceus, padCaduceus } from '../../src/tokens/caduceus.js'
import type { Check, Comparison } from './folders.js'

interface Cases {
  vocab: Record<string, number>
  cases: { text: string; add_special_tokens: boolean; input_ids: number[]; decoded: string }[]
  batch_padding: { texts: string[]; padded: number[][] }
}

/** The Caduceus tokenizer on the cases of the official one: all must be equal. */
export const checkTokenizer: Check = async (folder) => {
  const golden: Cases = JSON.parse(await readFile(join(folder, 'tokenizer_cases.json'), 'utf8'))
  const comparisons: Comparison[] = []
  const equal = (what: string, got: unknown, want: unknown) => {
    comparisons.push({ what, share: JSON.stringify(got) === JSON.stringify(want) ? 0 : Number.POSITIVE_INFINITY })
  }
  equal('vocab', Object.fromEntries(caduceusVocabulary.map((token, id) => [token, id])), golden.vocab)
  for (const { text, add_special_tokens, input_ids, decoded } of golden.cases) {
    const what = `${JSON.stringify(text.slice(0, 20))}${add_special_tokens ? ' with special tokens' : ''}`
    const ids = encodeCaduceus(text, add_special_tokens)
    equal(`ids of ${what}`, [...ids], input_ids)
    equal(`text of ${what}`, decodeCaduceus(ids), decoded)
  }
  const { texts, padded } = golden.batch_padding
  const rows = padCaduceus(texts.map((text) => encodeCaduceus(text)))
  equal(
    'batch padding',
    rows.map((row) => [...row]),
    padded,
  )
  return comparisons
}
