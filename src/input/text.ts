import { isUtf8 } from 'node:buffer'

/** Text of bytes in UTF-8; bytes that are none are taken as Latin-1, each byte one character, so that nothing is lost. */
export function decodeText(bytes: Uint8Array): string {
  const { buffer, byteOffset, byteLength } = bytes
  return Buffer.from(buffer, byteOffset, byteLength).toString(isUtf8(bytes) ? 'utf8' : 'latin1')
}
