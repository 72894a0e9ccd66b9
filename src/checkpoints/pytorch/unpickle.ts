import type { Cursor } from './cursor.js'
import { opcodes } from './opcodes.js'
import { call, named, Refused, refused, storage } from './torch.js'
import { Dict, type Key, kindOf, List, type Storage, type Value } from './values.js'

/** As much as a header of safetensors; published models take 200 kB. */
const mostBytes = 2 ** 24
/** A tensor takes 20, so this is 50,000 tensors in one file. */
const mostValues = 2 ** 20
const mostNesting = 64

const stop = '.'.charCodeAt(0)

export interface Pickle {
  value: Value
  /** All that it refers to, by their keys. */
  storages: ReadonlyMap<string, Storage>
}

/**
 * Reads a pickle as torch writes it for a state dict: containers, numbers, texts, and tensors as views of storages. A pickle is a program for
 * a stack machine that may call anything in Python; this machine has no opcode for more than those, knows names only by a list, and makes
 * nothing but the values of values.ts. What is made is never walked through, so it may share or hold itself. Errors: 69, one line that
 * names the opcode or the name.
 */
export function unpickle(from: Cursor): Pickle {
  const machine = new Machine(from)
  try {
    return { value: machine.run(), storages: machine.storages }
  } catch (error) {
    throw error instanceof Refused ? from.broken(`pickle ${error.message}`) : error
  }
}

class Machine {
  readonly storages = new Map<string, Storage>()
  private readonly stack: Value[] = []
  /** Where on the stack the open containers begin. */
  private readonly marks: number[] = []
  private readonly memo = new Map<number, Value>()
  private values = 0

  constructor(private readonly from: Cursor) {}

  /** What each opcode does; those that are not here are refused. */
  private readonly steps: Readonly<Record<string, () => void>> = {
    PROTO: () => this.protocol(this.from.byte()),
    NONE: () => this.push(null),
    NEWTRUE: () => this.push(true),
    NEWFALSE: () => this.push(false),
    BININT: () => this.push(this.from.take(4).readInt32LE()),
    BININT1: () => this.push(this.from.byte()),
    BININT2: () => this.push(this.from.take(2).readUInt16LE()),
    LONG1: () => this.push(this.long(this.from.byte())),
    BINFLOAT: () => this.push(this.from.take(8).readDoubleBE()),
    BINUNICODE: () => this.push(this.from.take(this.from.take(4).readUInt32LE()).toString()),
    SHORT_BINSTRING: () => this.push(this.from.take(this.from.byte()).toString('latin1')),
    EMPTY_TUPLE: () => this.push([]),
    TUPLE1: () => this.push(this.popped(1)),
    TUPLE2: () => this.push(this.popped(2)),
    TUPLE3: () => this.push(this.popped(3)),
    TUPLE: () => this.push(this.marked()),
    EMPTY_LIST: () => this.push(new List()),
    EMPTY_DICT: () => this.push(new Dict(false)),
    MARK: () => this.mark(),
    APPEND: () => this.append(this.popped(1)),
    APPENDS: () => this.append(this.marked()),
    SETITEM: () => this.set(this.popped(2)),
    SETITEMS: () => this.set(this.marked()),
    BINPUT: () => this.put(this.from.byte()),
    LONG_BINPUT: () => this.put(this.from.take(4).readUInt32LE()),
    BINGET: () => this.get(this.from.byte()),
    LONG_BINGET: () => this.get(this.from.take(4).readUInt32LE()),
    GLOBAL: () => this.push(named(`${this.line()}.${this.line()}`)),
    REDUCE: () => this.reduce(this.popped(2)),
    BUILD: () => this.build(this.popped(2)),
    BINPERSID: () => this.refer(storage(this.pop())),
  }

  run(): Value {
    const { from } = this
    const most = from.at + mostBytes
    const steps = Array.from({ length: 256 }, (_, opcode) => this.steps[opcodes.get(opcode) ?? ''])
    for (let opcode = from.byte(); opcode !== stop; opcode = from.byte()) {
      const step = steps[opcode]
      if (!step) throw refused(`has the opcode ${nameOf(opcode)}`)
      step()
      if (from.at > most) throw new Refused(`takes more than ${mostBytes} bytes`)
    }
    return this.pop()
  }

  private protocol(version: number): void {
    if (version !== 2) throw new Refused(`is of protocol ${version}, expected 2`)
  }

  private push(value: Value): void {
    if (++this.values > mostValues) throw new Refused(`holds more than ${mostValues} values`)
    this.stack.push(value)
  }

  private pop(): Value {
    return this.popped(1)[0]
  }

  /** The uppermost values, never those below the last mark. */
  private popped(count: number): Value[] {
    const from = this.stack.length - count
    if (from < (this.marks.at(-1) ?? 0)) throw new Refused('takes more from the stack than is there')
    return this.stack.splice(from)
  }

  private marked(): Value[] {
    const from = this.marks.pop()
    if (from === undefined) throw new Refused('takes more from the stack than is there')
    return this.stack.splice(from)
  }

  private top(): Value {
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) throw new Refused('takes more from the stack than is there')
    return this.stack[this.stack.length - 1]
  }

  private append(values: Value[]): void {
    const list = this.top()
    if (!(list instanceof List)) throw new Refused(`appends to ${kindOf(list)}`)
    for (const value of values) list.items.push(value)
  }

  private set(pairs: Value[]): void {
    const dict = this.top()
    if (!(dict instanceof Dict) || pairs.length % 2 === 1) throw new Refused(`sets items of ${kindOf(dict)}`)
    for (let i = 0; i < pairs.length; i += 2) {
      const key = pairs[i]
      if (typeof key === 'object' && key !== null) throw new Refused(`has ${kindOf(key)} for a key`)
      if (dict.entries.has(key as Key)) throw new Refused(`has the key ${key} twice`)
      dict.entries.set(key as Key, pairs[i + 1])
    }
  }

  /** Python counts what it keeps from 0 on. */
  private put(index: number): void {
    if (index >= mostValues) throw new Refused(`keeps a value as number ${index}`)
    this.memo.set(index, this.top())
  }

  private get(index: number): void {
    const value = this.memo.get(index)
    if (value === undefined) throw new Refused(`asks for value ${index}, which it has not kept`)
    this.push(value)
  }

  private refer(to: Storage): void {
    const { dtype, length } = this.storages.get(to.key) ?? to
    if (dtype !== to.dtype || length !== to.length) throw new Refused(`describes storage ${to.key} in two ways`)
    this.storages.set(to.key, to)
    this.push(to)
  }

  private mark(): void {
    if (this.marks.push(this.stack.length) > mostNesting) throw new Refused(`nests deeper than ${mostNesting} levels`)
  }

  private reduce([callee, args]: Value[]): void {
    this.push(call(callee, args))
  }

  /** A state dict has the versions of its modules as an attribute, which is passed over. */
  private build([of, state]: Value[]): void {
    if (!(of instanceof Dict && of.ordered && state instanceof Dict))
      throw refused(`has the opcode BUILD for ${kindOf(of)}`)
    this.push(of)
  }

  /** Little-endian, two's complement; no size or offset is larger than 2^53. */
  private long(bytes: number): number {
    if (bytes === 0) return 0
    if (bytes > 8) throw new Refused(`holds a number of ${bytes} bytes`)
    const padded = Buffer.alloc(8)
    const taken = this.from.take(bytes)
    taken.copy(padded)
    const value = Number(BigInt.asIntN(8 * bytes, padded.readBigUInt64LE()))
    if (!Number.isSafeInteger(value)) throw new Refused(`holds the number ${value}`)
    return value
  }

  private line(): string {
    let text = ''
    for (let byte = this.from.byte(); byte !== 0x0a; byte = this.from.byte()) {
      text += String.fromCharCode(byte)
      if (text.length > 200) throw refused(`names ${text}...`)
    }
    return text
  }
}

/** An opcode by its name, or by its number where there is none. */
const nameOf = (opcode: number) => opcodes.get(opcode) ?? `0x${opcode.toString(16).padStart(2, '0')}`
