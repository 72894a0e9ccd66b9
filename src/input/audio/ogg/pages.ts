import type { ByteReader } from '../../byte-reader.js'

/** A page of an Ogg file (RFC 3533): packets of one stream, or pieces of them. */
export interface Page {
  serial: number
  sequence: number
  isFirst: boolean
  isLast: boolean
  /** Its first piece goes on with a packet of the page before. */
  isContinued: boolean
  /** Where in the stream its last whole packet ends; undefined: no packet ends in it. */
  granule: number | undefined
  pieces: Uint8Array[]
  /** The last piece goes on in the next page. */
  goesOn: boolean
}

const headBytes = 27

/** Reads pages whose checksum is right, and looks for the next one where there is none. */
export class PageReader {
  /** Bytes that are no whole page, since it was last set to 0. */
  passed = 0

  constructor(private readonly reader: ByteReader) {}

  async next(): Promise<Page | undefined> {
    const { reader } = this
    for (;;) {
      const head = await reader.peek(headBytes)
      if (head.length === 0) return undefined
      const length = isPageHead(head) ? await this.pageLength(head[26]) : 0
      const page = length === 0 ? undefined : parsePage(await reader.peek(length), length)
      if (page) {
        await reader.skip(length)
        return page
      }
      const bytes = await reader.peek(4096)
      const next = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf('OggS', 1)
      // What is cut off at the end of these bytes may become a page.
      this.passed += await reader.skip(next > 0 ? next : Math.max(1, bytes.length - 3))
    }
  }

  private async pageLength(pieces: number): Promise<number> {
    const head = await this.reader.peek(headBytes + pieces)
    return head.subarray(headBytes).reduce((sum, size) => sum + size, headBytes + pieces)
  }
}

/** The pages at the start of a file that begin streams: a file says first what is in it. */
export function firstPages(head: Uint8Array): Page[] {
  const pages: Page[] = []
  for (let at = 0; isPageHead(head.subarray(at)); ) {
    const count = head[at + 26]
    const length = head
      .subarray(at + headBytes, at + headBytes + count)
      .reduce((sum, size) => sum + size, headBytes + count)
    const page = parsePage(head.subarray(at), length)
    if (!page?.isFirst) break
    pages.push(page)
    at += length
  }
  return pages
}

const isPageHead = (bytes: Uint8Array) =>
  bytes.length >= headBytes && Buffer.from(bytes.subarray(0, 5)).toString('latin1') === 'OggS\0'

function parsePage(bytes: Uint8Array, length: number): Page | undefined {
  if (bytes.length < length) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  if (checksum(bytes, length) !== view.getUint32(22, true)) return undefined
  const flags = bytes[5]
  const sizes = bytes.subarray(headBytes, headBytes + bytes[26])
  const granule = Number(view.getBigInt64(6, true))
  return {
    serial: view.getUint32(14, true),
    sequence: view.getUint32(18, true),
    isContinued: (flags & 1) !== 0,
    isFirst: (flags & 2) !== 0,
    isLast: (flags & 4) !== 0,
    granule: granule < 0 ? undefined : granule,
    pieces: cut(bytes.slice(headBytes + sizes.length, length), sizes),
    goesOn: sizes.at(-1) === 255,
  }
}

/** A piece ends with the first size below 255. */
function cut(body: Uint8Array, sizes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let [start, end] = [0, 0]
  for (const [i, size] of sizes.entries()) {
    end += size
    if (size === 255 && i < sizes.length - 1) continue
    pieces.push(body.subarray(start, end))
    start = end
  }
  return pieces
}

/** CRC-32 with the checksum itself taken as zero, the highest bit first. */
function checksum(bytes: Uint8Array, length: number): number {
  let crc = 0
  for (let i = 0; i < length; i++) {
    const byte = i >= 22 && i < 26 ? 0 : bytes[i]
    crc = (crc << 8) ^ table[(crc >>> 24) ^ byte]
  }
  return crc >>> 0
}

const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24
  for (let i = 0; i < 8; i++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1
  return crc
})
