import type { ByteReader } from '../../byte-reader.js'
import { FileProblem } from '../../problem.js'
import { latin1 } from '../riff.js'
import { parseStreamInfo, type StreamInfo, streamInfoBytes } from './header.js'

export const isFlac = (bytes: Uint8Array) => latin1(bytes.subarray(0, 4)) === 'fLaC'

/**
 * What stands in front of the frames (RFC 9639, 8): STREAMINFO, and tags and pictures, which are passed over. Errors
 * (FileProblem 65): it ends there, or lacks STREAMINFO.
 */
export async function readMetadata(reader: ByteReader): Promise<StreamInfo> {
  await reader.skip(4)
  let info: StreamInfo | undefined
  for (let isLast = false; !isLast; ) {
    const head = await reader.take(4)
    const [type, length] = [head[0] & 0x7f, head[1] * 65_536 + head[2] * 256 + head[3]]
    isLast = head[0] >= 0x80
    const body = await reader.take(type === 0 && !info ? Math.min(length, streamInfoBytes) : 0)
    if (body.length === streamInfoBytes) info = parseStreamInfo(body)
    const skipped = head.length < 4 ? 0 : await reader.skip(length - body.length)
    if (head.length < 4 || body.length + skipped < length) throw new FileProblem('FLAC that ends inside its header')
  }
  if (!info || info.rate === 0) throw new FileProblem('FLAC without a header that says its rate (STREAMINFO)')
  return info
}
