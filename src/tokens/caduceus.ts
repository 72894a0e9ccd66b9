/**
 * The character tokenizer of Caduceus: one id per character, upper-cased; [SEP] is appended, [CLS] is not; padding is
 * on the left. Anything but A, C, G, T, N is [UNK], white space and IUPAC letters included.
 */
export const caduceusVocabulary = [
  '[CLS]', '[SEP]', '[BOS]', '[MASK]', '[PAD]', '[RESERVED]', '[UNK]', 'A', 'C', 'G', 'T', 'N',
] // biome-ignore format: ids in order

const idOf = new Map(caduceusVocabulary.map((token, id) => [token, id]))
const [sep, pad, unknown] = [1, 4, 6]
/** A, C, G, T, N are 0 to 4 as DNA codes. */
const firstBase = 7
export const caduceusMask = 3
export const isCaduceusBase = (id: number) => id >= firstBase && id < firstBase + 4

/** Found inside text, as they are written here; [RESERVED] is not among them and becomes ten characters. */
const special = /(\[(?:CLS|SEP|BOS|MASK|PAD|UNK)\])/

/** Ids of a text, [L] or, with [SEP], [L + 1]. */
export function encodeCaduceus(text: string, addSpecialTokens = true): Int32Array {
  const ids = text.split(special).flatMap((piece, i) => {
    if (i % 2 === 1) return [idOf.get(piece)!]
    return [...piece.toUpperCase()].map((letter) => idOf.get(letter) ?? unknown)
  })
  if (addSpecialTokens) ids.push(sep)
  return Int32Array.from(ids)
}

/** The text of ids; those beyond the vocabulary, which pad it, read [UNK]. */
export function decodeCaduceus(ids: Int32Array): string {
  return Array.from(ids, (id) => caduceusVocabulary[id] ?? caduceusVocabulary[unknown]).join('')
}

/** Rows of one length, [PAD] on the left. */
export function padCaduceus(rows: readonly Int32Array[]): Int32Array[] {
  const longest = rows.reduce((most, { length }) => Math.max(most, length), 0)
  return rows.map((row) => {
    const padded = new Int32Array(longest).fill(pad)
    padded.set(row, longest - row.length)
    return padded
  })
}

/** Ids of DNA codes (A, C, G, T, N = 0 .. 4), with [SEP] after the `last` codes of a record. */
export function caduceusIds(codes: Uint8Array, last: boolean): Int32Array {
  const ids = new Int32Array(codes.length + (last ? 1 : 0))
  for (let i = 0; i < codes.length; i++) ids[i] = codes[i] + firstBase
  if (last) ids[codes.length] = sep
  return ids
}
