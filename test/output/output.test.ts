import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
import { UserError } from '../../src/errors.js'
import { closeAll, openOutput } from '../../src/output/output.js'
import { takeName } from '../../src/output/take-name.js'
import { shell, temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const inFolder = (name: string) => join(folder, name)
const expectedLines = (count: number) =>
  Array.from({ length: count }, (_, i) => `line ${i} ${'.'.repeat(60)}\n`).join('')

async function failure(promise: Promise<unknown>): Promise<UserError> {
  const error = await promise.then(
    () => null,
    (error) => error,
  )
  expect(error).toBeInstanceOf(UserError)
  return error
}

describe('a file', () => {
  test('appears at close, whole, with small and large chunks in order', async () => {
    const path = inFolder('order.bin')
    const output = await openOutput(path)
    const parts: Buffer[] = []
    for (let i = 0; i < 300; i++) {
      const part = Buffer.alloc((i * 7919) % 40_000, i)
      parts.push(part)
      // Not awaited one by one: the order must hold all the same.
      void output.write(part)
    }
    const large = Buffer.alloc(700_000, 7)
    await output.write(large)
    await output.write('ñ')
    expect(existsSync(path)).toBe(false)
    await output.close()
    expect(readFileSync(path).equals(Buffer.concat([...parts, large, Buffer.from('ñ')]))).toBe(true)
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('is compressed by its suffix, multi-chunk, and its temporary does not look finished', async () => {
    const path = inFolder('lines.tsv.gz')
    const { code } = await shell(`write '${path}' 40000`)
    expect(code).toBe(0)
    const bytes = readFileSync(path)
    expect(bytes.subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]))
    expect(gunzipSync(bytes).toString()).toBe(expectedLines(40_000))
  })

  test('that exists is kept, and replaced with force', async () => {
    const path = inFolder('there.tsv')
    writeFileSync(path, 'precious')
    const error = await failure(openOutput(path))
    expect(error.exitCode).toBe(73)
    expect(error.message).toBe(`${path}: the output exists already; --force replaces it`)
    const output = await openOutput(path, { force: true })
    await output.write('new')
    expect(readFileSync(path, 'utf8')).toBe('precious')
    await output.close()
    expect(readFileSync(path, 'utf8')).toBe('new')
  })

  test('behind a link is replaced, the link stays', async () => {
    writeFileSync(inFolder('target'), 'old')
    symlinkSync('target', inFolder('link'))
    const output = await openOutput(inFolder('link'), { force: true })
    await output.write('new')
    await output.close()
    expect(lstatSync(inFolder('link')).isSymbolicLink()).toBe(true)
    expect(readFileSync(inFolder('target'), 'utf8')).toBe('new')
  })

  test('behind a link to nothing yet is created, the link stays', async () => {
    symlinkSync('to come', inFolder('dangling'))
    const output = await openOutput(inFolder('dangling'))
    await output.write('new')
    await output.close()
    expect(lstatSync(inFolder('dangling')).isSymbolicLink()).toBe(true)
    expect(readFileSync(inFolder('to come'), 'utf8')).toBe('new')
    symlinkSync('no folder/x', inFolder('nowhere'))
    symlinkSync('round', inFolder('round'))
    for (const name of ['nowhere', 'round', 'dangling/', 'nothing/'])
      expect(await failure(openOutput(inFolder(name))), name).toMatchObject({ exitCode: 73 })
    expect(await failure(openOutput(''))).toMatchObject({ exitCode: 73 })
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('of two runs to one name one gets it, the other ends with 73 and leaves nothing', async () => {
    const path = inFolder('raced.tsv')
    const outputs = await Promise.all([openOutput(path), openOutput(path)])
    for (const [i, output] of outputs.entries()) await output.write(`run ${i}\n`)
    await outputs[1].close()
    const error = await failure(outputs[0].close())
    expect(error).toMatchObject({ exitCode: 73, message: `${path}: the output exists already; --force replaces it` })
    await outputs[0].abort()
    expect(readFileSync(path, 'utf8')).toBe('run 1\n')
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])

    const ended = await shell(
      `write '${inFolder('race')}' 3000 & write '${inFolder('race')}' 3000; a=$?; wait $!; echo $a $?`,
    )
    expect(ended.stdout.toString().trim()).toMatch(/^(0 73|73 0)$/)
    expect(readFileSync(inFolder('race'), 'utf8')).toBe(expectedLines(3000))
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('takes its name on file systems without hard links, too', async () => {
    const [temporary, path] = [inFolder('t'), inFolder('no links')]
    const noLinks = () => Promise.reject(Object.assign(new Error('EPERM'), { code: 'EPERM' }))
    writeFileSync(temporary, 'first')
    await takeName(temporary, path, noLinks)
    writeFileSync(temporary, 'second')
    await expect(takeName(temporary, path, noLinks)).rejects.toMatchObject({ code: 'EEXIST' })
    expect(readFileSync(path, 'utf8')).toBe('first')
  })

  test('leaves nothing after abort, even with writes under way', async () => {
    const path = inFolder('aborted.gz')
    const output = await openOutput(path)
    void output.write(Buffer.alloc(1_000_000))
    await output.abort()
    await output.abort()
    expect(readdirSync(folder).filter((name) => name.startsWith('aborted'))).toEqual([])
  })

  test('with a partner appears only when both are on the disk', async () => {
    const [a, b] = [await openOutput(inFolder('pair.a')), await openOutput(inFolder('pair.b'))]
    await a.write('a')
    await b.write('b')
    await closeAll(a, b)
    expect([readFileSync(inFolder('pair.a'), 'utf8'), readFileSync(inFolder('pair.b'), 'utf8')]).toEqual(['a', 'b'])
  })

  test('goes when its partner does not get its name', async () => {
    const [a, b] = [await openOutput(inFolder('left.a')), await openOutput(inFolder('left.b'))]
    writeFileSync(inFolder('left.b'), 'of another')
    expect(await failure(closeAll(a, b))).toMatchObject({ exitCode: 73 })
    await a.abort()
    await b.abort()
    expect(readdirSync(folder).filter((name) => name.startsWith('left'))).toEqual(['left.b'])
    expect(readFileSync(inFolder('left.b'), 'utf8')).toBe('of another')
  })

  test('cannot be created: 73 with the reason', async () => {
    expect(await failure(openOutput(inFolder('missing/x.tsv')))).toMatchObject({
      exitCode: 73,
      message: `${inFolder('missing/x.tsv')}: cannot create the output: no such file or directory`,
    })
    expect(await failure(openOutput(folder, { force: true }))).toMatchObject({ exitCode: 73 })
    writeFileSync(inFolder('plain'), '')
    expect(await failure(openOutput(inFolder('plain/x.tsv')))).toMatchObject({ exitCode: 73 })
  })

  test('in a folder without permission: 73', async () => {
    const closed = inFolder('closed')
    mkdirSync(closed, { mode: 0o500 })
    // Permission bits do not hold the superuser back; the kernel's own folder does.
    const path = join(process.getuid?.() === 0 ? '/sys/kernel' : closed, 'x.tsv')
    const error = await failure(openOutput(path))
    expect(error.exitCode).toBe(73)
    expect(error.message).toMatch(
      /: cannot create the output: (permission denied|read-only file system|operation not permitted)$/,
    )
  })

  test('is not left behind by a signal, and kill -9 leaves nothing that looks finished', async () => {
    const path = inFolder('killed.tsv')
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const ended = await shell(`exec "$NODE" "$ROOT/test/shell/write.js" '${path}' 20000 --hang`, {
        kill: { signal, when: 'written' },
      })
      expect(ended.code).toBe(code)
      expect(readdirSync(folder).filter((name) => name.startsWith('killed'))).toEqual([])
    }
    const killed = await shell(`exec "$NODE" "$ROOT/test/shell/write.js" '${path}' 20000 --hang`, {
      kill: { signal: 'SIGKILL', when: 'written' },
    })
    expect(killed.signal).toBe('SIGKILL')
    expect(existsSync(path)).toBe(false)
    expect(readdirSync(folder).filter((name) => name.startsWith('killed') && !name.endsWith('.tmp'))).toEqual([])
  })
})

describe('devices and pipes', () => {
  test.skipIf(!existsSync('/dev/full'))('a full disk is exit 74 with one line', async () => {
    for (const line of ['write /dev/full 20000', 'write - 20000 > /dev/full', 'write - 10 > /dev/full']) {
      const { code, stderr } = await shell(line)
      expect(code, line).toBe(74)
      expect(stderr, line).toMatch(/^longwave: (\/dev\/full|standard output): cannot write: no space left on device\n$/)
    }
  })

  test('/dev/null and named pipes are written straight', async () => {
    const { code, stdout } = await shell(
      `cd '${folder}'; mkfifo pipe; write /dev/null 1000 && (write pipe 30000 & wc -l < pipe; wait); [ -p pipe ] && [ -c /dev/null ]`,
    )
    expect(code).toBe(0)
    expect(stdout.toString().trim()).toBe('30000')
  })

  test('standard output that is closed is an error, unless nothing goes there', async () => {
    const { stdout, stderr } = await shell(
      `write - 1 1>&-; echo $? >&2; write '${inFolder('beside')}' 1 1>&-; echo $? >&2`,
    )
    expect([stdout.toString(), stderr]).toEqual([
      '',
      'longwave: standard output is closed: give it a reader, or -o FILE\n74\n0\n',
    ])
  })

  test('standard output that Node or Python throws away is as good as any', async () => {
    const { stderr } = await shell(
      `exec "$NODE" -e "
        const { spawnSync } = require('node:child_process')
        const run = (command, ...args) => spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] }).status
        const script = process.env.ROOT + '/test/shell/write.js'
        console.error(run(process.execPath, script, '-', '1'), run('bash', '-c', '\\"$NODE\\" ' + script + ' - 1; exit $?'))"`,
    )
    expect(stderr).toBe('0 0\n')
  })

  test('a signal loses no row that was written', async () => {
    for (const to of ['-', '>(cat)']) {
      const line = `exec "$NODE" "$ROOT/test/shell/write.js" ${to} 3 --hang`
      const { code, stdout } = await shell(line, { kill: { signal: 'SIGINT', when: 'written' } })
      expect([code, stdout.toString()], to).toEqual([130, expectedLines(3)])
    }
  })

  test('a row comes within half a second, and what an error leaves comes at once', async () => {
    const stdout = new PassThrough()
    const own = Object.getOwnPropertyDescriptor(process, 'stdout')!
    Object.defineProperty(process, 'stdout', { value: stdout, configurable: true })
    vi.useFakeTimers()
    try {
      const output = await openOutput('-')
      await output.write('row 1\n')
      expect(stdout.read()).toBe(null)
      await vi.advanceTimersByTimeAsync(500)
      expect(String(stdout.read())).toBe('row 1\n')
      await output.write('row 2\n')
      await output.abort()
      expect(String(stdout.read())).toBe('row 2\n')
    } finally {
      vi.useRealTimers()
      Object.defineProperty(process, 'stdout', own)
    }
  })

  test('a redirected standard output is complete', async () => {
    const path = inFolder('redirected')
    expect((await shell(`echo before > '${path}'; write - 30000 >> '${path}'`)).code).toBe(0)
    expect(readFileSync(path, 'utf8')).toBe(`before\n${expectedLines(30_000)}`)
    expect((await shell(`write /dev/stdout 3 > '${path}'`)).code).toBe(0)
    expect(statSync(path).size).toBe(expectedLines(3).length)
  })

  test('head ends the program quietly with 0, on standard output, /dev/fd and a named pipe', async () => {
    for (const line of [
      'set -o pipefail; write - 1000000 | head -n 1',
      'write /dev/fd/3 1000000 3> >(head -n 1); code=$?; sleep 0.3; exit $code',
    ]) {
      const { code, stdout, stderr } = await shell(line)
      expect(code, line).toBe(0)
      expect(stdout.toString(), line).toBe(expectedLines(1))
      expect(stderr, line).toBe('')
    }
  })

  test('a slow reader loses nothing, and memory does not grow with what waits', async () => {
    const { stdout, stderr, code } = await shell(
      'set -o pipefail; write - 2000000 --memory | (sleep 1; md5sum; sleep 0.1)',
    )
    const whole = createHash('md5')
    const line = (i: number) => `line ${i} ${'.'.repeat(60)}\n`
    for (let i = 0; i < 2_000_000; i += 1000) whole.update(Array.from({ length: 1000 }, (_, k) => line(i + k)).join(''))
    expect(code).toBe(0)
    expect(stdout.toString()).toBe(`${whole.digest('hex')}  -\n`)
    expect(Number.parseInt(stderr, 10)).toBeLessThan(150)
  })
})
