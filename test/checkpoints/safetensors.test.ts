import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { widened } from '../../src/backends/weight.js'
import { SafetensorsFile } from '../../src/checkpoints/safetensors.js'
import { writeSafetensors } from '../../src/checkpoints/safetensors-write.js'
import { newFolder } from './folders.js'

const entry = (dtype: string, shape: number[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
})

/** A file with this header (JSON or its text) and this many bytes of data. */
async function fileOf(header: unknown, dataBytes: number): Promise<string> {
  const path = join(await newFolder(), 'model.safetensors')
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  await writeFile(path, Buffer.concat([length, json, Buffer.alloc(dataBytes)]))
  return path
}

describe('reading', () => {
  test('F32, F16, BF16, I64 and I32 give their values', async () => {
    const path = join(await newFolder(), 'all.safetensors')
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8001, 0x0000, 0x7c00)
    await writeSafetensors(path, [
      { name: 'f32', dtype: 'F32', shape: [1, 3], data: Float32Array.of(1.5, -2, 3e-40) },
      { name: 'f16', dtype: 'F16', shape: [8], data: bits },
      { name: 'bf16', dtype: 'BF16', shape: [2], data: Uint16Array.of(0x3f80, 0xc0a0) },
      { name: 'i64', dtype: 'I64', shape: [2], data: BigInt64Array.of(7n, -1n) },
      { name: 'i32', dtype: 'I32', shape: [1], data: Int32Array.of(5) },
      { name: 'far', dtype: 'I64', shape: [1], data: BigInt64Array.of(2n ** 40n) },
      { name: 'empty', dtype: 'F32', shape: [0, 4], data: new Float32Array() },
    ])
    const file = await SafetensorsFile.open(path)
    expect([...file.tensors.keys()]).toEqual(['f32', 'f16', 'bf16', 'i64', 'i32', 'far', 'empty'])
    expect(file.metadata).toEqual({ format: 'pt' })
    expect(file.info('f32').shape).toEqual([1, 3])
    expect(widened(await file.weight('f32'))).toEqual(Float32Array.of(1.5, -2, 3e-40))
    const halves = [1, -2, 65504, 2 ** -14, 2 ** -24, -(2 ** -24), 0, Number.POSITIVE_INFINITY]
    expect(widened(await file.weight('f16'))).toEqual(Float32Array.from(halves))
    expect(widened(await file.weight('bf16'))).toEqual(Float32Array.of(1, -5))
    expect(await file.integers('i64')).toEqual(Int32Array.of(7, -1))
    expect(await file.integers('i32')).toEqual(Int32Array.of(5))
    expect(widened(await file.weight('empty'))).toEqual(new Float32Array())
    await expect(file.integers('far')).rejects.toThrow('tensor far holds 1099511627776, beyond 32 bits')
    await expect(file.weight('i64')).rejects.toThrow('tensor i64 has dtype I64, expected F32, F16 or BF16')
    await expect(file.weight('none')).rejects.toThrow('tensor none is missing')
    await file.close()
  })

  test.each<[string, unknown, number, string]>([
    ['is not JSON', '{"a":', 0, 'not JSON: '],
    ['is a list', [], 0, 'not a JSON object'],
    [
      'repeats a name',
      '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
      4,
      'tensor a appears twice',
    ],
    ['has an unknown dtype', { a: entry('Q4', [2], 0, 1) }, 1, 'tensor a: unknown dtype "Q4"'],
    ['has a negative length', { a: entry('F32', [-1], 0, 4) }, 4, 'tensor a: shape [-1] is not a list of lengths'],
    [
      'has offsets backwards',
      { a: entry('F32', [1], 4, 0) },
      4,
      'tensor a: data_offsets [4, 0], expected [begin, end]',
    ],
    [
      'has offsets that do not fit the shape',
      { a: entry('F32', [2], 0, 4) },
      4,
      'tensor a: F32 [2] takes 8 bytes, data_offsets hold 4',
    ],
    [
      'lets tensors overlap',
      { a: entry('F32', [2], 0, 8), b: entry('F32', [1], 4, 8) },
      8,
      'tensor b overlaps the one before it',
    ],
    ['leaves a gap', { a: entry('F32', [1], 4, 8) }, 8, 'tensor a begins at byte'],
    ['ends before the data', { a: entry('F32', [1], 0, 4) }, 5, '1 bytes after the last tensor'],
    ['promises more than the file has', { a: entry('F32', [3], 0, 12) }, 11, 'truncated: tensor a ends at byte'],
    ['has an entry that is no object', { a: 3 }, 0, 'tensor a: the header entry is not an object'],
  ])('a header that %s is one line with exit code 69', async (_, header, bytes, message) => {
    const path = await fileOf(header, bytes)
    const error = await SafetensorsFile.open(path).catch((thrown) => thrown)
    expect(error).toMatchObject({ name: 'UserError', exitCode: 69 })
    expect(error.message).toContain(`${path}: `)
    expect(error.message).toContain(message)
    expect(error.message).not.toContain('\n')
  })

  test.each<[string, Buffer, string]>([
    ['empty', Buffer.alloc(0), 'not a safetensors file: 0 bytes, expected at least 8'],
    [
      'cut inside the header',
      Buffer.from([100, 0, 0, 0, 0, 0, 0, 0, 123]),
      'truncated: 9 bytes, the header alone takes 108',
    ],
    ['something else', Buffer.from('PK\x03\x04 a zip file'), 'not a safetensors file: header length'],
  ])('a file that is %s', async (_, bytes, message) => {
    const path = join(await newFolder(), 'model.safetensors')
    await writeFile(path, bytes)
    await expect(SafetensorsFile.open(path)).rejects.toThrow(message)
  })

  test('a key inside a name or a nested object is not a repetition', async () => {
    const tricky = '{"__metadata__":{"a":"{\\"a\\":1}"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    const file = await SafetensorsFile.open(await fileOf(tricky, 4))
    expect([...file.tensors.keys()]).toEqual(['a'])
    await file.close()
  })
})

test('writing into a folder that is not there is exit code 73', async () => {
  await expect(writeSafetensors('/nonexistent/model.safetensors', [])).rejects.toMatchObject({ exitCode: 73 })
})
