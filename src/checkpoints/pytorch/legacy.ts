import { bytesPer } from '../tensor-file.js'
import type { Saved } from './archive.js'
import { Cursor } from './cursor.js'
import { unpickle } from './unpickle.js'
import { Dict, List } from './values.js'
import type { Place } from './zip.js'

/** torch.save's number 0x1950a86a20f9469cfc6c as a pickle, then the version of the format, 1001, as another. */
export const legacyMagic = Buffer.from('80028a0a6cfc9c46f9206aa850192e80024de9032e', 'hex')

/**
 * The stream that torch.save wrote before PyTorch 1.6, and still writes when asked to: after the magic numbers three pickles, of the machine,
 * of the object and of the keys of its storages, then each storage in that order, its length before it. Errors: 69.
 */
export function readLegacy(path: string, fd: number, size: number): Saved {
  const from = new Cursor(path, fd, legacyMagic.length, size)
  const { value: machine } = unpickle(from)
  if (!(machine instanceof Dict && machine.entries.get('little_endian') === true))
    throw from.broken('was saved on a machine of another byte order, expected little-endian numbers')
  const pickle = unpickle(from)
  const { value: keys } = unpickle(from)
  if (!(keys instanceof List)) throw from.broken('has no list of storages')
  const places = new Map<string, Place>()
  for (const key of keys.items) {
    const storage = typeof key === 'string' ? pickle.storages.get(key) : undefined
    if (!storage || places.has(storage.key)) throw from.broken('lists a storage that no tensor is of, or twice')
    const length = from.size()
    if (length !== storage.length)
      throw from.broken(`storage ${storage.key} is of ${length} values, expected ${storage.length}`)
    const place = { begin: from.at, bytes: length * bytesPer[storage.dtype ?? 'U8'] }
    from.skip(place.bytes)
    places.set(storage.key, place)
  }
  if (from.at < size) throw from.broken(`${size - from.at} bytes after the last storage`)
  return { ...pickle, place: (key) => places.get(key) }
}
