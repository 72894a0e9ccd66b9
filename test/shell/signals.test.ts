import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'
import { command } from '../run-command.js'
import { shell, temporaryFolder } from './run.js'

const folder = temporaryFolder()
const fragments = join(packageRoot, 'fixtures/fragments.fa')
const codes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const
const signals = Object.keys(codes) as (keyof typeof codes)[]

interface Interrupted {
  code: number
  stderr: string
  files: string[]
}

/**
 * Starts the program as a shell does, in a folder of its own that has a named pipe `pipe`, and ends it by a signal when
 * it has had time to wait for the pipe, into which `written` goes.
 */
async function interrupted(args: string[], signal: NodeJS.Signals, written = ''): Promise<Interrupted> {
  const cwd = mkdtempSync(join(folder, 'run '))
  execFileSync('mkfifo', [join(cwd, 'pipe')])
  const child = spawn(join(packageRoot, 'bin/run.js'), args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const closed = new Promise<number>((resolve) =>
    child.on('close', (code, by) => resolve(code ?? 128 + constants.signals[by!])),
  )
  if (written !== '') writeSync(openSync(join(cwd, 'pipe'), 'r+'), written)
  await setTimeout(1500)
  child.kill(signal)
  return { code: await closed, stderr, files: readdirSync(cwd) }
}

const table = join(folder, 'labels.tsv')
writeFileSync(table, 'r\thuman\n')

test('signals end a command wherever it waits for a named pipe, and nothing is left', async () => {
  const waiting = [
    ['classify', '-q', '-m', 'origin', '-o', 'out.tsv', '--window', '500', '--html', 'out.html', 'pipe'],
    ['classify', '-q', '-m', 'origin', '-o', 'pipe', fragments],
    ['classify', '-q', '-m', 'origin', '-o', 'out.tsv', '--report', 'pipe', fragments],
    ['transcribe', '-q', '-m', 'digits', '-o', 'out.txt', 'pipe'],
    ['classify', '-q', '-m', 'origin', '-o', 'out.tsv', '--infile-list', 'pipe'],
    ['evaluate', '-q', '-m', 'origin', '--data', fragments, '--labels', 'pipe'],
    ['evaluate', '-q', '-m', 'origin', '--data', 'pipe', '--labels', table, '--predictions', 'p', '--html', 'h'],
    ['train', 'classify', '-q', '--data', fragments, '--labels', 'pipe', '--out', 'model'],
    ['train', 'classify', '-q', '--data', fragments, '--labels', 'x.tsv', '--config', 'pipe', '--out', 'model'],
  ]
  // One handler serves all three, so they take turns.
  const sent = waiting.map((_, i) => signals[i % signals.length])
  const all = await Promise.all(waiting.map((args, i) => interrupted(args, sent[i])))
  expect(all).toEqual(sent.map((signal) => ({ code: codes[signal], stderr: '', files: ['pipe'] })))
})

test('SIGTERM ends a command whose pipe has begun and stays open', async () => {
  const args = ['classify', '-q', '-m', 'origin', '-o', 'out.tsv', 'pipe']
  expect(await interrupted(args, 'SIGTERM', '>x\nACGTACGTACGT\n')).toEqual({ code: 143, stderr: '', files: ['pipe'] })
})

test('a signal ends a program whose native call does not come back, after its exit handlers', async () => {
  const built = (path: string) => JSON.stringify(pathToFileURL(join(packageRoot, 'build/src', path)).href)
  const program = join(folder, 'stuck.mjs')
  writeFileSync(
    program,
    `import { isMainThread, parentPort, Worker } from 'node:worker_threads'
    import { native, nativeThread } from ${built('runtime/native-calls.js')}
    import { guardProcess } from ${built('shell/guard.js')}
    if (isMainThread) {
      guardProcess()
      process.on('exit', (code) => console.log(code))
      nativeThread(() => new Worker(process.argv[1])).thread.on('message', console.log)
    } else {
      void native(() => new Promise(() => setInterval(() => {}, 1000)))
      parentPort.postMessage('inside')
    }`,
  )
  const end = (signal: NodeJS.Signals) => {
    const child = spawn(process.execPath, [program], { timeout: 15_000, killSignal: 'SIGKILL' })
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (stdout === '') child.kill(signal)
      stdout += text
    })
    return new Promise((resolve) => child.on('close', (_, by) => resolve({ by, stdout })))
  }
  const all = await Promise.all(signals.map(end))
  expect(all).toEqual(signals.map((signal) => ({ by: signal, stdout: `inside\n${codes[signal]}\n` })))
}, 20_000)

test('named pipes and process substitutions are inputs and outputs like files', async () => {
  const whole = await command(['classify', '-q', '-m', 'origin', fragments])
  const { code, stdout } = await shell(
    `longwave classify -q -m origin <(cat '${fragments}'); longwave classify -q -m origin '${fragments}' -o >(cat); wait`,
  )
  expect(code).toBe(0)
  expect(stdout.toString()).toBe(`${whole.stdout}${whole.stdout}`)
})

test.each([
  ['started by nohup', 'nohup'],
  ['whose shell ignores SIGHUP', "trap '' HUP;"],
])('a command %s outlives a hang-up', async (_, prefix) => {
  // The pipe opens when the command reads it.
  const line = `mkfifo pipe; ${prefix} "$ROOT/bin/run.js" classify -q -m origin pipe & p=$!
    exec 3> pipe; kill -HUP $p; cat "$F" >&3; exec 3>&-; wait $p`
  const { code, stdout } = await shell(line, { env: { F: fragments }, cwd: mkdtempSync(join(folder, 'hung up ')) })
  expect(code).toBe(0)
  expect(stdout.toString().trim().split('\n')).toHaveLength(13)
})

// dash does not say which command it runs: what is left is the input that GNU nohup puts in place of a terminal.
test.runIf(process.platform === 'linux')('nohup at a terminal is recognised without the name of the command', () => {
  const code = `import('${pathToFileURL(join(packageRoot, 'build/src/runtime/hang-up.js')).href}').then(({ hangUpIgnored }) => console.log(hangUpIgnored()))`
  const asked = (prefix: string) =>
    execFileSync('script', ['-qec', `sh -c '${prefix} "$NODE" -e "$CODE" 2> /dev/null | cat'`, '/dev/null'], {
      env: { PATH: process.env.PATH, NODE: process.execPath, CODE: code },
      encoding: 'utf8',
    }).trim()
  expect([asked('nohup'), asked(''), asked('< /dev/null')]).toEqual(['true', 'false', 'false'])
})
