import { broken } from '../files.js'
import { Cursor } from './cursor.js'
import { type Pickle, unpickle } from './unpickle.js'
import { type Place, zipEntries } from './zip.js'

/** What a file of torch.save holds, and where its storages lie. */
export interface Saved extends Pickle {
  /** The place of a storage, by its key. */
  place(key: string): Place | undefined
}

/** The bytes that a file of torch.save begins with since PyTorch 1.6: a zip file. */
export const zipMagic = Buffer.from('PK\x03\x04')

/** A zip file with the pickle as `NAME/data.pkl` and each storage as `NAME/data/KEY`, none of them compressed. Errors: 69. */
export async function readArchive(path: string, fd: number, size: number): Promise<Saved> {
  const entries = await zipEntries(path, fd, size)
  const [name, second] = [...entries.keys()].filter((entry) => /^[^/]+\/data\.pkl$/.test(entry))
  if (name === undefined || second !== undefined)
    throw broken(path, `holds ${second ? 'more than one' : 'no'} data.pkl, so it is no file of torch.save`)
  const root = name.slice(0, -'data.pkl'.length)
  const cursorOf = ({ begin, bytes }: Place) => new Cursor(path, fd, begin, begin + bytes)
  const order = entries.get(`${root}byteorder`)
  if (order && cursorOf(order).take(order.bytes).toString() !== 'little')
    throw broken(path, 'was saved on a machine of another byte order, expected little-endian numbers')
  const pickle = unpickle(cursorOf(entries.get(name)!))
  return { ...pickle, place: (key) => entries.get(`${root}data/${key}`) }
}
