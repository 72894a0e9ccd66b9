import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesPer } from '../../src/checkpoints/tensor-file.js'

/** Writes what torch.save writes, in little: pickles, opcode by opcode, and the two kinds of files around them. */

export interface Saved {
  name: string
  dtype: string
  shape: number[]
  data: Uint8Array
}

type Piece = string | Uint8Array

/** Opcodes as text (latin1), and what follows them. */
export const pickle = (...pieces: Piece[]) => Buffer.concat([Buffer.from([0x80, 2]), ops(...pieces, '.')])

export const ops = (...pieces: Piece[]) =>
  Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece)))

export const text = (value: string) => ops('X', u32(Buffer.byteLength(value)), Buffer.from(value))
export const int = (value: number) => (value < 2 ** 31 ? ops('J', u32(value)) : ops('\x8a\x08', u64(value)))
export const tuple = (...items: Piece[]) => ops('(', ...items, 't')
export const global = (name: string) => ops(`c${name.replace(/\.(?=[^.]*$)/, '\n')}\n`)
export const ordered = (...items: Piece[]) => ops(global('collections.OrderedDict'), ')R(', ...items, 'u')

const storageTypes: Record<string, string> = {
  F32: 'Float', F16: 'Half', BF16: 'BFloat16', F64: 'Double', I64: 'Long', I32: 'Int', I16: 'Short', I8: 'Char', U8: 'Byte', BOOL: 'Bool',
} // biome-ignore format: a table

/** The types of _rebuild_tensor_v3, whose storages are bytes. */
const untyped: Record<string, string> = {
  U16: 'uint16', U32: 'uint32', U64: 'uint64', F8_E4M3: 'float8_e4m3fn', F8_E5M2: 'float8_e5m2',
} // biome-ignore format: a table

export interface View {
  key: string
  dtype: string
  /** Values of the storage. */
  length: number
  offset?: number
  shape: number[]
  strides?: number[]
}

export function storage({ key, dtype, length }: View): Buffer {
  const type = untyped[dtype] ? 'torch.storage.UntypedStorage' : `torch.${storageTypes[dtype]}Storage`
  const count = untyped[dtype] ? length * bytesPer[dtype] : length
  return ops(tuple(text('storage'), global(type), text(key), text('cpu'), int(count)), 'Q')
}

export function tensor(view: View): Buffer {
  const {
    dtype,
    shape,
    offset = 0,
    strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1)),
  } = view
  const args = [
    storage(view),
    int(offset),
    tuple(...shape.map(int)),
    tuple(...strides.map(int)),
    '\x89',
    ops(ordered()),
  ]
  if (untyped[dtype])
    return ops(global('torch._utils._rebuild_tensor_v3'), tuple(...args, global(`torch.${untyped[dtype]}`)), 'R')
  return ops(global('torch._utils._rebuild_tensor_v2'), tuple(...args), 'R')
}

/** The storages and the pickle of a state dict, with the versions of its modules; tensors with the same bytes share a storage. */
export function stateDict(tensors: readonly Saved[]): { object: Buffer; storages: Map<string, Saved> } {
  const storages = new Map<string, Saved>()
  const keys = new Map<Uint8Array, string>()
  const items = tensors.flatMap((each) => {
    const { name, dtype, shape, data } = each
    const key = keys.get(data) ?? String(keys.size)
    keys.set(data, key)
    storages.set(key, each)
    const view = tensor({ key, dtype, shape, length: data.length / bytesPer[dtype] })
    return [text(name), view]
  })
  const versions = ops('}', text('_metadata'), ordered(text(''), ops('}', text('version'), int(1), 's')), 's')
  return { object: pickle(ordered(...items), versions, 'b'), storages }
}

export interface Entry {
  name: string
  data: Uint8Array
  method?: number
  flags?: number
  /** Where the directory says that it lies, if elsewhere; from 2^32 on in a field of 64 bits. */
  at?: number
  /** How long the directory says that it is, if otherwise. */
  bytes?: number
}

export const zipFile = (entries: readonly Entry[]) => ops(...zipPieces(entries))

/** Without checksums, which torch.load does not look at either. */
function zipPieces(entries: readonly Entry[]): Piece[] {
  const local: Piece[] = []
  const directory: Buffer[] = []
  let end = 0
  for (const { name, data, method = 0, flags = 0, bytes = data.length, at = end } of entries) {
    const common = ops(u16(flags), u16(method), u32(0), u32(0), u32(bytes), u32(bytes), u16(name.length))
    const header = ops('PK\x03\x04', u16(0), common, u16(0), name)
    const far = at < 2 ** 32 ? '' : ops('\x01\x00\x08\x00', u64(at))
    const place = u32(far ? 0xffffffff : at)
    directory.push(ops('PK\x01\x02', u32(0), common, u16(far.length), u64(0), u32(0).subarray(2), place, name, far))
    local.push(header, data)
    end += header.length + data.length
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0)
  const n = u16(entries.length)
  return [...local, ...directory, ops('PK\x05\x06', u32(0), n, n, u32(size), u32(end), u16(0))]
}

/** With the directory told by a record of 64 bits, as for files above 4 GB. */
export function zip64(zip: Buffer, change: Partial<Record<'record' | 'entries' | 'directory', bigint>> = {}): Buffer {
  const end = zip.subarray(-22)
  const record = BigInt(zip.length - 22)
  const entries = change.entries ?? BigInt(end.readUInt16LE(10))
  const directory = change.directory ?? BigInt(end.readUInt32LE(16))
  const locator = ops('PK\x06\x07', u32(0), u64(change.record ?? record), u32(1))
  const size = u64(BigInt(end.readUInt32LE(12)))
  const all = ops(
    'PK\x06\x06',
    u64(44n),
    u32(0),
    u32(0),
    u32(0),
    u64(entries),
    u64(entries),
    size,
    u64(directory),
    locator,
  )
  return ops(zip.subarray(0, -22), all, 'PK\x05\x06', u32(0), '\xff'.repeat(12), u16(0))
}

export const archiveEntries = (object: Uint8Array, storages: Iterable<[string, Uint8Array]>): Entry[] => [
  { name: 'archive/data.pkl', data: object },
  { name: 'archive/byteorder', data: Buffer.from('little') },
  ...[...storages].map(([key, data]) => ({ name: `archive/data/${key}`, data })),
  { name: 'archive/version', data: Buffer.from('3\n') },
]

export const archive = (tensors: readonly Saved[]) => ops(...archivePieces(tensors))

function archivePieces(tensors: readonly Saved[]): Piece[] {
  const { object, storages } = stateDict(tensors)
  return zipPieces(
    archiveEntries(
      object,
      Array.from(storages, ([key, { data }]) => [key, data]),
    ),
  )
}

export const magic = [pickle('\x8a\x0a', Buffer.from('6cfc9c46f9206aa85019', 'hex')), pickle('M', u16(1001))]

export const machine = (little = true) => pickle('}', text('little_endian'), little ? '\x88' : '\x89', 's')

/** The stream before version 1.6. */
export const legacy = (tensors: readonly Saved[]) => ops(...legacyPieces(tensors))

function legacyPieces(tensors: readonly Saved[]): Piece[] {
  const { object, storages } = stateDict(tensors)
  const keys = pickle('](', ...[...storages.keys()].map(text), 'e')
  const data = [...storages.values()].flatMap(({ dtype, data }) => [
    u64(data.length / (untyped[dtype] ? 1 : bytesPer[dtype])),
    data,
  ])
  return [...magic, machine(), object, keys, ...data]
}

/** All tensors in one file, or in two with an index; piece by piece, without a copy of them all. */
export async function writeTorch(folder: string, tensors: readonly Saved[], how: 'zip' | 'legacy' | 'shards') {
  const path = (name: string) => join(folder, name)
  if (how === 'zip') return writeFile(path('pytorch_model.bin'), archivePieces(tensors))
  if (how === 'legacy') return writeFile(path('pytorch_model.bin'), legacyPieces(tensors))
  const middle = Math.floor(tensors.length / 2)
  const weight_map: Record<string, string> = {}
  for (const [i, shard] of [tensors.slice(0, middle), tensors.slice(middle)].entries()) {
    const file = `pytorch_model-0000${i + 1}-of-00002.bin`
    await writeFile(path(file), archive(shard))
    for (const { name } of shard) weight_map[name] = file
  }
  await writeFile(path('pytorch_model.bin.index.json'), JSON.stringify({ metadata: {}, weight_map }))
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
