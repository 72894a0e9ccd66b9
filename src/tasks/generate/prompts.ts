import type { RecordStream } from '../../input/dna/read.js'
import type { RecordBatch } from '../../input/dna/records.js'
import type { TextStream } from '../../input/lines/read.js'
import type { SkipCounts } from '../../input/problem.js'
import type { TextTokenizer } from '../../tokens/text.js'
import type { DnaTokenizer } from '../../tokens/tokenizer.js'
import { type LeftOut, settledParts } from '../lengths.js'
import { tokensOf } from '../text/run.js'
import { wholeSpans } from '../windows.js'
import type { Language } from './continuation.js'
import type { PromptStream } from './run.js'
import { Letters, Words } from './writing.js'

/** Texts as prompts. */
export const textPrompts = (texts: TextStream, tokenizer: TextTokenizer): PromptStream =>
  promptsOf(tokensOf(texts, tokenizer), texts.counts, 'tokens', (ids) => ids)

/** Records of DNA as prompts. */
export const dnaPrompts = (records: RecordStream, tokenizer: DnaTokenizer): PromptStream =>
  promptsOf(records, records.counts, 'bases', (codes) => tokenizer.ids(codes, false))

/** `ends`: the ids with which a text is over. */
export const textLanguage = (tokenizer: TextTokenizer, ends: readonly number[]): Language => ({
  allowed: tokenizer.size,
  ends,
  writing: (prompt) => new Words(tokenizer, prompt),
})

/** Writes A, C, G and T, never N. */
export const dnaLanguage = (tokenizer: DnaTokenizer): Language => ({
  allowed: 4,
  ends: [],
  writing: () => new Letters(tokenizer.letter),
})

function promptsOf<Codes extends Uint8Array | Int32Array>(
  batches: AsyncIterable<RecordBatch<Codes>>,
  counts: SkipCounts,
  unit: 'bases' | 'tokens',
  idsOf: (rows: Codes) => Int32Array,
): PromptStream {
  const left: LeftOut = { tooShort: 0, tooLong: 0, empty: 0 }
  return {
    counts,
    left,
    unit,
    async *[Symbol.asyncIterator]() {
      for await (const { span, rows } of wholeSpans(settledParts(batches, {}, true, left)))
        yield { record: span.record, ids: idsOf(rows) }
    },
  }
}
