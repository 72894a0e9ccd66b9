import type { ByteReader } from '../../byte-reader.js'
import { Damage } from '../damage.js'
import type { Block, Opened } from '../decoded.js'
import { type Codec, startsWith } from './codec.js'
import { isFlacHead, openFlac } from './flac.js'
import { Link } from './link.js'
import { openOpus, parseOpusHead } from './opus.js'
import { firstPages, PageReader } from './pages.js'
import { openVorbis, parseVorbisId } from './vorbis.js'

/** What opens a stream that begins with this packet; undefined: nothing here does. */
function codecOf(packet: Uint8Array): ((packet: Uint8Array) => Promise<Codec>) | undefined {
  if (isFlacHead(packet)) return openFlac
  if (parseOpusHead(packet)) return openOpus
  if (parseVorbisId(packet)) return openVorbis
  return undefined
}

/** Streams that describe the others. */
const isSkeleton = (packet: Uint8Array) => startsWith(packet, 'fishead')

/** Whether an Ogg file that begins like this has one stream, which can be read here: no film, no Speex. */
export function isReadable(head: Uint8Array): boolean {
  const streams = firstPages(head).filter(({ pieces }) => !isSkeleton(pieces[0]))
  return streams.length === 1 && codecOf(streams[0].pieces[0]) !== undefined
}

/** FLAC, Opus or Vorbis in Ogg; streams one behind the other ("chained") are read as one. */
export async function openOgg(reader: ByteReader, warn: (text: string) => void): Promise<Opened> {
  return { expected: undefined, blocks: readPages(reader, warn) }
}

async function* readPages(reader: ByteReader, warn: (text: string) => void): AsyncGenerator<Block> {
  const pages = new PageReader(reader)
  const damage = new Damage()
  let link: Link | undefined
  let given = 0
  try {
    for (let page = await pages.next(); page; page = await pages.next()) {
      const isAfterDamage = pages.passed > 0
      pages.passed = 0
      if (page.isFirst && !isSkeleton(page.pieces[0])) {
        const seconds = link?.seconds ?? 0
        const open = codecOf(page.pieces[0])
        if (open) {
          await link?.codec.close()
          link = new Link(page.serial, await open(page.pieces[0]), damage, seconds)
        } else warn(`a stream of another kind begins at ${seconds.toFixed(3)} s: it is not read`)
      } else if (link?.serial === page.serial) {
        const before = link.given
        yield* link.take(page, isAfterDamage)
        given += link.given - before
      }
    }
  } finally {
    await link?.codec.close()
  }
  if (given === 0) return
  if (damage.line) warn(damage.line)
  if (link && !link.isEnded) warn(`ends without its last page, after ${link.seconds.toFixed(3)} s: it may be cut off`)
}
