import { joinInputs } from '../../engine/chunk.js'
import { readBytes, stdinName } from '../../input/bytes.js'
import { readTextSources } from '../../input/lines/read.js'
import { tokensOf } from '../../tasks/text/run.js'
import type { TextTokenizer } from '../../tokens/text.js'
import { Hashed } from '../data/hashed.js'
import type { LabelledSource } from '../data/labelled.js'

/** The texts of a file as ids, which is read once, so that it may be a pipe, and the SHA-256 of it when they were read. */
export function hashedTexts(
  path: string,
  tokenizer: TextTokenizer,
  note: (line: string) => void,
): { texts: AsyncIterable<LabelledSource<Int32Array>>; sha256: () => string } {
  const file = path === '-' ? stdinName : path
  const bytes = new Hashed(readBytes(path))
  const stream = readTextSources([{ file, bytes }], { report: ({ message }) => note(message) })
  return { texts: wholeTexts(tokensOf(stream, tokenizer), file, note), sha256: () => bytes.sha256() }
}

/** Without those that are empty. */
async function* wholeTexts(
  batches: ReturnType<typeof tokensOf>,
  file: string,
  note: (line: string) => void,
): AsyncGenerator<LabelledSource<Int32Array>> {
  let parts: Int32Array[] = []
  let empty = 0
  for await (const { codes, pieces } of batches) {
    // A part of a text is a batch.
    const [{ record, offset, first, last }] = pieces
    if (first) parts = []
    parts.push(codes)
    if (!last) continue
    if (offset + codes.length > 0) yield { ...record, codes: joinInputs(parts) as Int32Array }
    else empty++
  }
  if (empty > 0) note(`${file}: ${empty} empty text${empty === 1 ? '' : 's'} left out`)
}
