import type { ByteReader } from '../byte-reader.js'
import { latin1 } from './riff.js'

const headBytes = 10

export const isId3 = (head: Uint8Array) => head.length >= headBytes && latin1(head.subarray(0, 3)) === 'ID3'

/** Passes over the tags (ID3v2) in front of a file, with the pictures in them, and the zeros behind them. */
export async function passId3(reader: ByteReader): Promise<void> {
  for (;;) {
    const head = Uint8Array.from(await reader.peek(headBytes))
    if (!isId3(head)) return
    await reader.skip(tagBytes(head))
  }
}

/** The length of a whole tag: seven bits count in each byte of its size, and a footer may follow. */
function tagBytes(head: Uint8Array): number {
  const size = head.subarray(6, headBytes).reduce((sum, byte) => sum * 128 + (byte & 0x7f), 0)
  return headBytes + size + (head[5] & 0x10 ? headBytes : 0)
}
