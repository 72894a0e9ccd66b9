import { constants, gunzipSync } from 'node:zlib'
import { foreignName, isGzip } from '../format.js'

/** Whether a file of a folder holds text, plain or gzip: UTF-8 without a NUL. */
export function holdsText(head: Uint8Array): boolean {
  try {
    const bytes = isGzip(head) ? gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH }) : head
    // A character may be cut off at the end.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
    return text !== '' && !text.includes('\0') && foreignName(bytes) === undefined
  } catch {
    return false
  }
}
