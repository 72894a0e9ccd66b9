import { Dict, kindOf, Named, PickledTensor, Storage, type Value } from './values.js'

/** What torch names in the pickle of a state dict, and what that makes. */

/** Why a pickle is not read; what reads it adds the file and the place. */
export class Refused extends Error {}

export const refused = (what: string) => new Refused(`${what}, which is refused: only tensors and containers are read`)

/** Types of storages, by the names that safetensors has for them. */
const storages: Record<string, string | null> = {
  'torch.FloatStorage': 'F32',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.DoubleStorage': 'F64',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
  'torch.storage.UntypedStorage': null,
}

/** The types that have no storage of their own: their tensors are views of bytes. */
const dtypes: Record<string, string> = {
  'torch.uint16': 'U16',
  'torch.uint32': 'U32',
  'torch.uint64': 'U64',
  'torch.float8_e4m3fn': 'F8_E4M3',
  'torch.float8_e5m2': 'F8_E5M2',
}

const calls: Record<string, (args: readonly Value[]) => Value> = {
  'collections.OrderedDict': (args) => {
    if (args.length > 0) throw new Refused('fills an OrderedDict in a way that torch does not')
    return new Dict(true)
  },
  'torch.Size': ([sizes]) => counts(sizes, 'a size'),
  'torch._utils._rebuild_tensor_v2': ([storage, offset, shape, strides]) => {
    const { dtype } = storageOf(storage)
    if (dtype === null) throw new Refused('holds a tensor without a type')
    return tensor(storage, dtype, offset, shape, strides)
  },
  'torch._utils._rebuild_tensor_v3': ([storage, offset, shape, strides, , , type]) => {
    const name = type instanceof Named ? type.name : ''
    if (!Object.hasOwn(dtypes, name)) throw new Refused(`has ${kindOf(type ?? null)} for the type of a tensor`)
    return tensor(storage, dtypes[name], offset, shape, strides)
  },
  'torch._utils._rebuild_parameter': ([data]) => {
    if (!(data instanceof PickledTensor)) throw new Refused(`has ${kindOf(data ?? null)} for a parameter`)
    return data
  },
}

/** Errors: Refused, for all but what a state dict needs. */
export function named(name: string): Named {
  if (![storages, dtypes, calls].some((known) => Object.hasOwn(known, name))) throw refused(`names ${name}`)
  return new Named(name)
}

/** What a call makes. */
export function call(callee: Value, args: Value): Value {
  if (!(callee instanceof Named && Object.hasOwn(calls, callee.name))) throw new Refused(`calls ${kindOf(callee)}`)
  if (!Array.isArray(args)) throw new Refused(`calls ${callee.name} with ${kindOf(args)}`)
  return calls[callee.name](args)
}

/** A storage, by what torch calls its persistent id. */
export function storage(id: Value): Storage {
  const [what, type, key, , length, view = null] = Array.isArray(id) ? (id as readonly Value[]) : []
  const known = type instanceof Named && Object.hasOwn(storages, type.name)
  if (what !== 'storage' || !known || typeof key !== 'string' || view !== null)
    throw new Refused('refers to something that is no storage')
  return new Storage(key, storages[type.name], count(length, 'the length of a storage'))
}

function tensor(from: Value, dtype: string, offset: Value, sizes: Value, strides: Value): PickledTensor {
  const shape = counts(sizes, 'a size')
  const steps = counts(strides, 'a stride')
  if (shape.length !== steps.length) throw new Refused(`has ${steps.length} strides for ${shape.length} dimensions`)
  return new PickledTensor(storageOf(from), dtype, count(offset, 'an offset'), shape, steps)
}

function storageOf(value: Value = null): Storage {
  if (!(value instanceof Storage)) throw new Refused(`has ${kindOf(value)} for a storage`)
  return value
}

/** torch has at most 64 dimensions. */
const mostDimensions = 64

function counts(value: Value = null, what: string): number[] {
  if (!Array.isArray(value) || value.length > mostDimensions) throw new Refused(`has ${kindOf(value)} for ${what}`)
  return value.map((each) => count(each, what))
}

function count(value: Value = null, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new Refused(`has ${typeof value === 'number' ? value : kindOf(value)} for ${what}`)
}
