/** Codes of cleaned bases: what every reader hands out, and the order of the classes below. */
export const bases = 'ACGTN'
/** Code of N: an unknown base, an ambiguity code, a gap. */
export const N = 4

/**
 * Classes of bytes that are no base: from 8 on, so that one look at `a | b | ...` tells whether several bytes are all
 * bases.
 */
export const IGNORED = 8
export const NEWLINE = 9
export const STAR = 10
export const OTHER = 11

const table = (classes: [string, number][]) => {
  const codes = new Uint8Array(256).fill(OTHER)
  for (const [letters, code] of classes) {
    for (const letter of letters + letters.toLowerCase()) codes[letter.charCodeAt(0)] = code
  }
  return codes
}

const layout: [string, number][] = [
  [' \t\v\f0123456789', IGNORED],
  ['\n\r', NEWLINE],
]

/**
 * Byte to code or class. U is read as T; the IUPAC codes, X (a masked base in older programs) and the gaps `.` and `-`
 * become N in place, so that coordinates never shift.
 */
export const letterCodes = table([
  ...layout,
  ['*', STAR],
  ['A', 0],
  ['C', 1],
  ['G', 2],
  ['TU', 3],
  ['NRYSWKMBDHVX.-', N],
])

/** The same after a `*`, which may only be the last character: no base may follow. */
export const codesAfterStar = table(layout)

/** A byte in an error line: the letter itself where it can be printed. */
export function nameByte(byte: number): string {
  if (byte > 32 && byte < 127) return `'${String.fromCharCode(byte)}'`
  return `byte 0x${byte.toString(16).padStart(2, '0')}`
}

/** Whether a byte is a letter, as those of a protein are. */
export const isLetter = (byte: number) => (byte | 32) >= 97 && (byte | 32) <= 122
