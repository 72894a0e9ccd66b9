import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'

export interface Finished {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: Buffer
  stderr: string
}

export interface RunOptions {
  input?: string | Uint8Array
  env?: Record<string, string>
  cwd?: string
  /** Sends this signal, once, when standard error shows the text. */
  kill?: { signal: NodeJS.Signals; when: string }
}

/** Runs the built program, `longwave ...args`, as a child process: the way a shell sees it. */
export const longwave = (args: string[], options: RunOptions = {}) =>
  finish(process.execPath, [join(packageRoot, 'bin/run.js'), ...args], options)

/** Runs a shell line in which `longwave` and `write` (test/shell/write.js) are commands, for pipes and redirections. */
export const shell = (line: string, options: RunOptions = {}) =>
  finish(
    'bash',
    [
      '-c',
      `longwave() { "$NODE" "$ROOT/bin/run.js" "$@"; }; write() { "$NODE" "$ROOT/test/shell/write.js" "$@"; }; ${line}`,
    ],
    options,
  )

/** A folder that is removed after the tests of a file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'longwave test '))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function finish(command: string, args: string[], { input, env, cwd, kill }: RunOptions): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...cleanEnv(), NODE: process.execPath, ROOT: packageRoot, ...env },
    })
    const stdout: Buffer[] = []
    let stderr = ''
    child.stdout.on('data', (part: Buffer) => stdout.push(part))
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      const shown = kill && stderr.includes(kill.when)
      stderr += part
      if (kill && !shown && stderr.includes(kill.when)) child.kill(kill.signal)
    })
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout: Buffer.concat(stdout), stderr }))
    // A program that stops reading early is not the test's failure.
    child.stdin.on('error', () => {})
    child.stdin.end(input ?? '')
  })
}

/**
 * The variables of vitest and of the person's own terminal must not change what the program does, nor the models that
 * the person has pulled; and no test asks the network.
 */
export function cleanEnv(): NodeJS.ProcessEnv {
  const { NODE_ENV, VITEST, FORCE_COLOR, NO_COLOR, LONGWAVE_THREADS, LONGWAVE_MODELS, ...env } = process.env
  for (const name of Object.keys(env))
    if (/^(HF|HUGGING\w*|XDG_CACHE|TRANSFORMERS)_|_proxy$/i.test(name)) delete env[name]
  return { ...env, HF_HOME: join(packageRoot, 'test/no-such-folder'), HF_HUB_OFFLINE: '1' }
}
