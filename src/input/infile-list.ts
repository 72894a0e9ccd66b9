import { isUtf8 } from 'node:buffer'
import { exitCodes, UserError } from '../errors.js'
import { readWhole } from './bytes.js'

const [NUL, LF, CR] = [0, 10, 13]

/**
 * The paths that a list names (`-`: standard input): one a line, or, where there is a NUL byte (`find -print0`), one up
 * to each NUL, line feeds and all. Blanks belong to a path; empty lines are passed over. Errors: 66, a list that cannot
 * be read or is no UTF-8.
 */
export async function readList(list: string): Promise<string[]> {
  const bytes = await readWhole(list)
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw problem(list, 'UTF-16 text, expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8')
  }
  const start = first === 0xef && second === 0xbb && bytes[2] === 0xbf ? 3 : 0
  const zeros = bytes.includes(NUL)
  return entries(bytes.subarray(start), zeros ? NUL : LF)
    .map((entry) => (!zeros && entry.at(-1) === CR ? entry.subarray(0, -1) : entry))
    .map((entry, i) => {
      if (isUtf8(entry)) return entry.toString()
      const place = `${zeros ? 'path' : 'line'} ${i + 1}`
      throw problem(
        list,
        `${place}: '${escaped(entry)}' is no UTF-8 and cannot be opened: rename it, or name a link to it`,
      )
    })
    .filter((path) => path !== '')
}

function entries(bytes: Buffer, separator: number): Buffer[] {
  const found: Buffer[] = []
  for (let from = 0; from < bytes.length; ) {
    const at = bytes.indexOf(separator, from)
    const end = at < 0 ? bytes.length : at
    found.push(bytes.subarray(from, end))
    from = end + 1
  }
  return found
}

/** Bytes that are no ASCII as \xE9, the way a shell's $'...' takes them. */
const escaped = (bytes: Buffer) =>
  Array.from(bytes, (byte) =>
    byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0').toUpperCase()}`,
  ).join('')

const problem = (list: string, what: string) => new UserError(`--infile-list ${list}: ${what}`, exitCodes.noInput)
