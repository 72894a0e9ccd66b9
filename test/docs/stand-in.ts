import { chmodSync, existsSync, mkdirSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { command } from '../run-command.js'

/**
 * A program `longwave` for the lines of a shell, in a folder for PATH, that has this process run the command: a process
 * for each would take a second. It reads a pipe to its end first, and the command's output is whole when it goes on.
 */
export function standIn(folder: string): void {
  mkdirSync(join(folder, 'calls'), { recursive: true })
  const script = join(folder, 'longwave')
  writeFileSync(script, program(folder))
  chmodSync(script, 0o755)
  const watcher = watch(join(folder, 'calls'), (_, name) => {
    const call = join(folder, 'calls', String(name))
    if (!call.endsWith('.asked') || !existsSync(call)) return
    void answer(call.slice(0, -'.asked'.length))
  })
  afterAll(() => watcher.close())
}

/** Files of a call: `.arguments`, `.environment` and `.input` when it was `.asked`; `.stdout` and `.stderr` when there is an `.answer`, the exit code. */
const program = (folder: string) => `#!/bin/bash
call='${folder}/calls/'$$
mkfifo "$call.answer"
if [ -p /dev/stdin ]; then cat > "$call.input"; else : > "$call.input"; fi
printf '%s\\0' "$PWD" "$@" > "$call.arguments"
env -0 > "$call.environment"
: > "$call.asked"
read -r code < "$call.answer"
cat "$call.stderr" >&2
cat "$call.stdout"
exit "$code"
`

async function answer(call: string): Promise<void> {
  const list = (name: string) => readFileSync(`${call}.${name}`, 'utf8').split('\0').slice(0, -1)
  const [cwd, ...args] = list('arguments')
  // What the test says; the others are those of this process.
  const given = list('environment').filter((variable) => /^(HOME|HF_\w+)=/.test(variable))
  const env = Object.fromEntries(given.map((variable) => variable.split(/=(.*)/s, 2)))
  const { code, stdout, stderr } = await command(args, { cwd, env, input: readFileSync(`${call}.input`) })
  writeFileSync(`${call}.stdout`, stdout)
  writeFileSync(`${call}.stderr`, stderr)
  writeFileSync(`${call}.answer`, `${code}\n`)
}
