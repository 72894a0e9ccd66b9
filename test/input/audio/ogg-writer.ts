/** A page as bytes, cut where its header ends: 27 bytes, a table of sizes, the packets. */
export interface PageFields {
  flags?: number
  granule?: number
  serial?: number
  sequence?: number
}

const flagsOf = { continued: 1, first: 2, last: 4 }

/** The pages of a file. */
export function pagesOf(bytes: Uint8Array): Buffer[] {
  const pages: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const sizes = bytes.subarray(at + 27, at + 27 + bytes[at + 26])
    const length = sizes.reduce((sum, size) => sum + size, 27 + sizes.length)
    pages.push(Buffer.from(bytes.subarray(at, at + length)))
    at += length
  }
  return pages
}

/** The packets of pages in which none goes on in the next. */
export function packetsOf(page: Buffer): Buffer[] {
  const sizes = page.subarray(27, 27 + page[26])
  const packets: Buffer[] = []
  let [start, end] = [27 + sizes.length, 27 + sizes.length]
  for (const size of sizes) {
    end += size
    if (size === 255) continue
    packets.push(page.subarray(start, end))
    start = end
  }
  return packets
}

/** The same page with other fields, and a checksum that is right. */
export function changed(page: Buffer, { flags, granule, serial, sequence }: PageFields = {}): Buffer {
  const copy = Buffer.from(page)
  if (flags !== undefined) copy[5] = flags
  if (granule !== undefined) copy.writeBigInt64LE(BigInt(granule), 6)
  if (serial !== undefined) copy.writeUInt32LE(serial, 14)
  if (sequence !== undefined) copy.writeUInt32LE(sequence, 18)
  copy.writeUInt32LE(0, 22)
  copy.writeUInt32LE(checksum(copy), 22)
  return copy
}

/** A stream of packets, one page each (or several, if it is long), that end at these places. */
export function writeOgg(packets: Uint8Array[], granules: number[], serial = 1): Buffer[] {
  const pages: Buffer[] = []
  for (const [i, packet] of packets.entries()) {
    const sizes = [...new Array(Math.floor(packet.length / 255)).fill(255), packet.length % 255]
    for (let at = 0; at < sizes.length; at += 255) {
      const table = sizes.slice(at, at + 255)
      const isEnd = at + 255 >= sizes.length
      const head = Buffer.concat([Buffer.from('OggS\0'), Buffer.alloc(21), Buffer.from([table.length, ...table])])
      const flags =
        (at > 0 ? flagsOf.continued : 0) |
        (pages.length === 0 ? flagsOf.first : 0) |
        (isEnd && i === packets.length - 1 ? flagsOf.last : 0)
      const body = packet.subarray(255 * at, 255 * (at + table.length))
      const fields = { flags, granule: isEnd ? granules[i] : -1, serial, sequence: pages.length }
      pages.push(changed(Buffer.concat([head, body]), fields))
    }
  }
  return pages
}

/** CRC-32 bit by bit, unlike the reader's. */
function checksum(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 24
    for (let i = 0; i < 8; i++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1
  }
  return crc >>> 0
}
