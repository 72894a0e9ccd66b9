import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { UserError } from '../../src/errors.js'
import { inputPaths } from '../../src/input/paths.js'
import { availableThreads, cgroupLimit } from '../../src/runtime/threads.js'
import { describeError } from '../../src/shell/describe.js'
import { wholeNumber } from '../../src/shell/flags.js'
import { wasmVectorFunction } from '../../src/tasks/doctor.js'
import { temporaryFolder } from './run.js'

const folder = temporaryFolder()

test('a user error keeps its exit code and loses its line breaks', () => {
  expect(describeError(new UserError('reads.fa: record x,\n  line 3: bad', 65))).toEqual({
    line: 'reads.fa: record x, line 3: bad',
    exitCode: 65,
  })
})

test('anything unexpected is exit 1 and asks for a report', () => {
  const { line, exitCode } = describeError(new TypeError('x is undefined'))
  expect(exitCode).toBe(1)
  expect(line).toMatch(/^internal error: x is undefined\. This is a bug: please report it.*--verbose/)
  expect(describeError('a string').line).toMatch(/^internal error: a string/)
})

test('a reader that went away is no error', () => {
  expect(describeError(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))).toEqual({ line: null, exitCode: 0 })
})

test.each([
  [{ code: 'EMFILE' }, 'too many open files: a limit is too low (ulimit -n) (EMFILE)'],
  [
    { code: 'ERR_WORKER_INIT_FAILED' },
    'a thread could not be started: use fewer --threads (ulimit -u) (ERR_WORKER_INIT_FAILED)',
  ],
  [{ message: 'Array buffer allocation failed' }, /^out of memory: .* \(Array buffer allocation failed\)$/],
])('%j is a shortage, not a bug', (properties, line) => {
  expect(describeError(Object.assign(new Error('x'), properties))).toEqual({
    line: typeof line === 'string' ? line : expect.stringMatching(line),
    exitCode: 69,
  })
})

test.each(['', '1.5', '1e3', ' 7', '0x10', '-1', '0', '11', '9'.repeat(30)])(
  "'%s' is no whole number from 1 to 10",
  (text) => {
    expect(() => wholeNumber(text, 1, 10)).toThrow(`expected a whole number from 1 to 10, got '${text}'`)
  },
)

test('whole numbers go beyond 32 bits', () => {
  expect(wholeNumber('5000000000', 0, Number.MAX_SAFE_INTEGER)).toBe(5_000_000_000)
})

test('the quota of a container limits the threads, in both versions of control groups', () => {
  const files = (content: Record<string, string>) => (path: string) => content[path] ?? null
  expect(cgroupLimit(files({ '/sys/fs/cgroup/cpu.max': '150000 100000\n' }))).toBe(2)
  expect(cgroupLimit(files({ '/sys/fs/cgroup/cpu.max': 'max 100000\n' }))).toBe(Number.POSITIVE_INFINITY)
  const v1 = { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '400000\n', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n' }
  expect(cgroupLimit(files(v1))).toBe(4)
  expect(cgroupLimit(files({ ...v1, '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n' }))).toBe(Number.POSITIVE_INFINITY)
  expect(cgroupLimit(files({}))).toBe(Number.POSITIVE_INFINITY)
  expect(availableThreads()).toBeGreaterThanOrEqual(1)
})

test('inputs are the arguments and then the lines of a list', async () => {
  const list = join(folder, 'list.txt')
  writeFileSync(list, 'b.fa\r\n\n/with spaces/c.fa\n')
  expect(await inputPaths(['a.fa'], list)).toEqual(['a.fa', 'b.fa', '/with spaces/c.fa'])
  await expect(inputPaths(['-', '-'], undefined)).rejects.toMatchObject({ exitCode: 2 })
  await expect(inputPaths([], join(folder, 'missing.txt'))).rejects.toMatchObject({ exitCode: 66 })
  writeFileSync(list, '\n')
  await expect(inputPaths([], list)).rejects.toMatchObject({ exitCode: 66 })
})

test('a list of paths: -print0, a byte order mark, blanks that belong to names', async () => {
  const list = join(folder, 'odd list')
  const paths = (bytes: string | Uint8Array) => {
    writeFileSync(list, bytes)
    return inputPaths(undefined, list)
  }
  expect(await paths('a.fa\0line\nfeed.fa\0 b \0')).toEqual(['a.fa', 'line\nfeed.fa', ' b '])
  expect(await paths('a\0b')).toEqual(['a', 'b'])
  expect(await paths('\ufeff a.fa \r\n\n\u00e9.fa')).toEqual([' a.fa ', '\u00e9.fa'])
  for (const utf16 of [Buffer.from('\ufeffa.fa\n', 'utf16le'), Buffer.from('\ufeffa.fa\n', 'utf16le').swap16()]) {
    await expect(paths(utf16)).rejects.toMatchObject({ exitCode: 66, message: expect.stringMatching(/UTF-16 text/) })
  }
  const latin1 = paths(Buffer.from('a.fa\nr\xe9ads.fa\n', 'latin1'))
  await expect(latin1).rejects.toMatchObject({
    exitCode: 66,
    message: `--infile-list ${list}: line 2: 'r\\xE9ads.fa' is no UTF-8 and cannot be opened: rename it, or name a link to it`,
  })
})

test('control characters of names reach no terminal', () => {
  const { line } = describeError(new UserError('a\u001b[31mb\u009b.fa: no such file', 66))
  expect(line).toBe('a?[31mb?.fa: no such file')
  expect(describeError(Object.assign(new Error('x\u0007'), { oclif: { exit: 2 } })).line).toBe('x? (see --help)')
})

test('a list that never ends is an error', async () => {
  await expect(inputPaths([], '/dev/zero')).rejects.toMatchObject({
    exitCode: 65,
    message: '/dev/zero: more than 1 GiB, expected a table, a list or settings',
  })
})

test('the probe of vector instructions tells known from unknown ones', () => {
  expect(WebAssembly.validate(wasmVectorFunction(2, [0xfd, 0xe4, 0x01]))).toBe(true)
  expect(WebAssembly.validate(wasmVectorFunction(2, [0xfd, 0xff, 0x7f]))).toBe(false)
  // f32x4.add takes two operands: three leave one on the stack.
  expect(WebAssembly.validate(wasmVectorFunction(3, [0xfd, 0xe4, 0x01]))).toBe(false)
})
