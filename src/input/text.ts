import { isUtf8 } from 'node:buffer'

/**
 * Text of a file: UTF-8, or Latin-1 where it is no valid UTF-8. So bytes that differ stay texts that differ: as UTF-8
 * alone, every byte that does not fit would read U+FFFD.
 */
export function decodeText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(isUtf8(bytes) ? 'utf8' : 'latin1')
}
