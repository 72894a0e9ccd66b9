import { FileProblem } from './problem.js'
import { Unpacker } from './unpacker.js'

/**
 * Packed bytes given to zlib at a time: bounds what one of them can unpack to, and the bytes that are taken one by one.
 */
const packedSize = 1 << 14

/** Last block of every whole bgzip file (SAM specification, section 4.1.2). */
const bgzfEnd = Buffer.from('1f8b08040000000000ff0600424302001b0003000000000000000000', 'hex')

/**
 * Unpacks gzip of one or many members, block by block. Zeros and line ends behind the last member are passed over,
 * other bytes there are a warning, as for gzip. Errors (FileProblem): data that is damaged or cut off, after all the
 * text in front of that place.
 *
 * zlib forgets the text of a call that fails. So a second unpacker follows the first, one part behind it, and takes the
 * part where that fails byte by byte.
 */
export async function* gunzip(
  source: AsyncIterable<Uint8Array>,
  bgzf: boolean,
  warn: (text: string) => void,
): AsyncGenerator<Uint8Array> {
  const [ahead, behind] = [new Unpacker(), new Unpacker()]
  /** The last part: the source may overwrite its blocks. */
  const buffer = Buffer.allocUnsafeSlow(packedSize)
  let last = buffer.subarray(0, 0)
  let end = Buffer.alloc(0) // the last bytes
  let over = false // all members were unpacked
  let junk = false // and something else than zeros and line ends follows
  const pass = (bytes: Uint8Array) => {
    over = true
    junk ||= bytes.some((byte) => byte !== 0 && byte !== 10 && byte !== 13)
  }
  try {
    for await (const block of source) {
      for (let from = 0; from < block.length; from += packedSize) {
        const part = block.subarray(from, from + packedSize)
        if (over) {
          pass(part)
          continue
        }
        const consumed = ahead.consumed
        // One part is unpacked while the text of the one before is in use.
        const ready = ahead.take()
        const done = Promise.all([ahead.push(part), behind.push(last)])
        yield* ready
        await done
        behind.take()
        if (ahead.failure) {
          const place = await lastGoodByte(behind, part)
          yield* behind.takeBeyond(ahead.taken)
          if (behind.failure?.message !== notGzip) throw new FileProblem(gzipProblem(ahead.failure))
          // It takes two bytes to see that no member begins with them.
          if (place === 0) pass(last.subarray(-1))
          pass(part.subarray(Math.max(0, place - 1)))
        } else if (ahead.ended) pass(part.subarray(ahead.consumed - consumed))
        buffer.set(part)
        last = buffer.subarray(0, part.length)
        end = Buffer.concat([end, part.subarray(-bgzfEnd.length)]).subarray(-bgzfEnd.length)
      }
    }
    if (!over) {
      const done = ahead.finish()
      yield* ahead.take()
      await done
    }
    yield* ahead.take()
    if (!over && ahead.failure) {
      // Cut off, unless its last byte alone is too much, and is not the first one of a member.
      await behind.push(last.subarray(0, -1))
      await behind.finish()
      yield* behind.takeBeyond(ahead.taken)
      if (behind.failure || last.at(-1) === firstOfMember) throw new FileProblem(gzipProblem(ahead.failure))
      pass(last.subarray(-1))
    }
    if (junk) warn('what follows the gzip data is no gzip: it is ignored')
    else if (bgzf && !over && !bgzfEnd.equals(end)) warn('the end mark of bgzip is missing: the file may be cut off')
  } finally {
    ahead.close()
    behind.close()
  }
}

const firstOfMember = 0x1f

/** What zlib says of bytes behind a member that do not begin another one. */
const notGzip = 'incorrect header check'

/** Unpacks byte by byte as far as it goes; the index of the byte that fails. */
async function lastGoodByte(unpacker: Unpacker, part: Uint8Array): Promise<number> {
  for (let i = 0; i < part.length; i++) {
    await unpacker.push(part.subarray(i, i + 1))
    if (unpacker.failure) return i
  }
  throw new Error('gzip data that fails as a whole, but not byte by byte')
}

function gzipProblem(error: Error): string {
  if ('code' in error && error.code === 'Z_BUF_ERROR') return 'gzip data that is cut off, expected more of it'
  return `damaged gzip data (${error.message})`
}
