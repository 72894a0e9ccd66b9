import { shortened } from '../../text/printable.js'
import type { Site } from '../../text/vcf.js'
import { decodeText } from '../text.js'

const [tab, CR] = [9, 13]

/** Whether an allele is spelt out, and not symbolic (`<DEL>`), missing (`.`), deleted further up (`*`) or an end of a break (`]2:9]A`). */
export const isSpelt = (text: string) => /^[ACGTN]+$/i.test(text)

const isOther = (text: string) =>
  /^(\*|\.|<[^<>]+>|[ACGTN.]*[[\]][^[\]]+[[\]][ACGTN.]*|\.[ACGTN]+|[ACGTN]+\.)$/i.test(text)

/** A site, or what is wrong with the line. */
export function parseSite(bytes: Buffer, line: number): Site | string {
  const end = bytes.at(-1) === CR ? bytes.length - 1 : bytes.length
  /** Where each of the first columns begins, and where INFO, the eighth, ends. */
  const starts = [0]
  while (starts.length < 9) {
    const at = bytes.indexOf(tab, starts[starts.length - 1])
    if (at < 0) break
    starts.push(at + 1)
  }
  if (starts.length < 8) return `${starts.length} columns, expected at least 8 with tabs between them`
  const field = (i: number) => decodeText(bytes.subarray(starts[i], starts[i + 1] - 1))
  const [chrom, position, id, ref, alt] = [0, 1, 2, 3, 4].map(field)
  if (chrom === '') return 'no CHROM'
  if (!/^\d{1,15}$/.test(position)) return `POS is ${shown(position)}, expected a whole number`
  if (!isSpelt(ref)) return `REF is ${shown(ref)}, expected bases: A, C, G, T or N`
  const alts = alt.split(',')
  const bad = alts.find((one) => !isSpelt(one) && !isOther(one))
  if (bad !== undefined) return `ALT has ${shown(bad)}, expected bases, *, <NAME>, a breakend or .`
  const info = { start: starts[7], end: starts.length > 8 ? starts[8] - 1 : end }
  return { line, bytes, chrom, position: Number(position), id, ref, alts, info }
}

/** What a file says, in a message. */
export const shown = (text: string) => `'${shortened(text, 40)}'`
