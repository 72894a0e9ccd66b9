/** What the pickle of a state dict holds. Tuples are arrays; nothing here does anything. */
export type Value = null | boolean | number | string | readonly Value[] | List | Dict | Named | Storage | PickledTensor

export class List {
  readonly items: Value[] = []
}

export class Dict {
  readonly entries = new Map<Key, Value>()

  constructor(
    /** A collections.OrderedDict, which may have attributes. */
    readonly ordered: boolean,
  ) {}
}

export type Key = null | boolean | number | string

/** A function, class or constant of Python, by its module and name; never more than the name. */
export class Named {
  constructor(readonly name: string) {}
}

/** Numbers that tensors are views of, elsewhere in the file. */
export class Storage {
  constructor(
    readonly key: string,
    /** Null: bytes. */
    readonly dtype: string | null,
    readonly length: number,
  ) {}
}

export class PickledTensor {
  constructor(
    readonly storage: Storage,
    readonly dtype: string,
    /** In values, as are the strides. */
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/** For error lines. */
export function kindOf(value: Value): string {
  if (value === null) return 'None'
  if (Array.isArray(value)) return 'a tuple'
  if (value instanceof List) return 'a list'
  if (value instanceof Dict) return 'a dict'
  if (value instanceof Named) return value.name
  if (value instanceof Storage) return 'a storage'
  if (value instanceof PickledTensor) return 'a tensor'
  return `a ${typeof value}`
}
