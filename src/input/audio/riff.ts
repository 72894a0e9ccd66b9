import type { ByteReader } from '../byte-reader.js'

export const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')

/** Whether these can be the four characters that name a chunk. */
export const isId = (text: string) => /^[\x20-\x7e]{4}$/.test(text)

/** A chunk size, or another number of 32 bits, in the byte order of the file. */
export const u32 = (bytes: Uint8Array, at: number, littleEndian: boolean) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at, littleEndian)

const usualIds = ['data', 'fmt ', 'fact', 'LIST', 'JUNK', 'bext']

/** Chunks of odd length are followed by a byte of padding, which some programs leave out. */
export async function passPad(reader: ByteReader) {
  const next = await reader.peek(5)
  const padded = latin1(next.subarray(1, 5))
  if (usualIds.includes(padded) || !isId(latin1(next.subarray(0, 4)))) await reader.skip(1)
}
