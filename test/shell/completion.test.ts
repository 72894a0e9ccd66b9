import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'
import { command } from '../run-command.js'
import { temporaryFolder } from './run.js'

const folder = temporaryFolder()
const file = (shell: string) => join(packageRoot, 'dist/completion', shell)

beforeAll(() => {
  writeFileSync(join(folder, 'reads two.fa'), '')
  writeFileSync(join(folder, 'x$y*.fa'), '')
  mkdirSync(join(folder, 'orange'))
  // Reading all completions of the system takes zsh a second.
  if (has('zsh'))
    execFileSync('zsh', ['-fc', 'autoload -Uz compinit; compinit -u -d "$HOME/zcompdump"'], {
      env: { PATH: process.env.PATH, HOME: folder },
    })
})

/** The line of a terminal after these keys, as the shell itself completes it. `script` (util-linux) is the terminal. */
function typed(shell: 'bash' | 'zsh', keys: string): Promise<string> {
  const line = join(folder, `line ${Math.random()}`)
  const [command, setUp] = {
    bash: [
      'bash --norc --noprofile -i',
      `source "$COMPLETION"; bind -x '"\\C-g": printf "%s\\n" "$READLINE_LINE" > "$LINE"'`,
    ],
    zsh: [
      'zsh -f -i',
      'autoload -Uz compinit; compinit -C -d "$HOME/zcompdump"; source "$COMPLETION"; show() { print -r -- "$BUFFER" > "$LINE" }; zle -N show; bindkey "^G" show',
    ],
  }[shell]
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, TERM: 'vt100', COMPLETION: file(shell), LINE: line },
  })
  return new Promise((resolve, reject) => {
    let shown = ''
    const steps = [
      [/[%$#] ?/, `${setUp}; PS1=''; echo re''ady\n`],
      [/ready\s/, `${keys}\u0007`],
    ] as const
    let step = 0
    const look = setInterval(() => {
      if (steps[step]?.[0].test(shown)) {
        child.stdin.write(steps[step][1])
        step++
      }
      try {
        const content = readFileSync(line, 'utf8')
        if (content.endsWith('\n')) child.kill('SIGKILL')
      } catch {}
    }, 20)
    child.stdout.on('data', (part) => {
      shown += part
    })
    child.on('error', reject)
    child.on('close', () => {
      clearInterval(look)
      try {
        resolve(readFileSync(line, 'utf8').trimEnd())
      } catch {
        reject(new Error(`${shell} said: ${shown}`))
      }
    })
  })
}

const cases = [
  ['longwave cla', 'longwave classify'],
  ['longwave models inf', 'longwave models info'],
  ['longwave train t', 'longwave train transcribe'],
  ['longwave help models l', 'longwave help models list'],
  ['longwave classify -m ori', 'longwave classify -m origin'],
  ['longwave classify -m ora', 'longwave classify -m orange/'],
  ['longwave models info so', 'longwave models info sounds'],
  ['longwave classify --strand b', 'longwave classify --strand both'],
  ['longwave classify --strand=b', 'longwave classify --strand=both'],
  ['longwave classify --prob', 'longwave classify --probabilities'],
  ['longwave classify -o rea', 'longwave classify -o reads\\ two.fa'],
  ['longwave classify rea', 'longwave classify reads\\ two.fa'],
  ['longwave classify -m origin -q "rea', 'longwave classify -m origin -q "reads two.fa"'],
  ['longwave classify reads\\ t', 'longwave classify reads\\ two.fa'],
  ['longwave classify x', 'longwave classify x\\$y\\*.fa'],
  ['longwave train classify --freeze bo', 'longwave train classify --freeze body'],
  ['longwave autocomplete z', 'longwave autocomplete zsh'],
]

const has = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0

describe.each(['bash', 'zsh'] as const)('%s', (shell) => {
  const terminal = has(shell) && has('script')

  test.skipIf(!terminal).concurrent.each(cases)('completes %s', async (keys, line) => {
    expect(await typed(shell, `${keys}\t`)).toBe(line)
  })

  test('the script has every command and flag, and is what autocomplete prints', async () => {
    const script = readFileSync(file(shell), 'utf8')
    const { commands } = JSON.parse(readFileSync(join(packageRoot, 'oclif.manifest.json'), 'utf8'))
    for (const [id, { flags }] of Object.entries<{ flags: object }>(commands)) {
      expect(script).toContain(shell === 'bash' ? `'${id.replace(':', ' ')}')` : `_longwave_${id.replace(':', '_')}()`)
      for (const flag of Object.keys(flags)) expect(script).toContain(`--${flag}`)
    }
    expect((await command(['autocomplete', shell])).stdout.toString()).toBe(script)
  })
})

/** What bash would offer, from the function that it calls. */
function offered(words: string[], env: Record<string, string> = {}): string[] {
  const script = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _longwave; printf '%s\\n' "\${COMPREPLY[@]}"`
  const output = execFileSync('bash', ['--norc', '-c', script, 'bash', file('bash'), ...words], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return output.split('\n').filter((line) => line !== '')
}

test('bash offers all that fits', () => {
  expect(offered(['longwave', 'tr'])).toEqual(['train', 'transcribe'])
  expect(offered(['longwave', 'classify', '-m', 'or'])).toEqual(['origin', 'orange'])
  expect(offered(['longwave', 'classify', '--strand', ''])).toEqual(['+', '-', 'both'])
  expect(offered(['longwave', 'classify', '--threads', ''])).toEqual([])
  expect(offered(['longwave', 'classify', '--pro'])).toEqual(['--probabilities', '--progress'])
})

test('the models of a site are offered', () => {
  const models = join(folder, 'models of a site')
  mkdirSync(join(models, 'our own'), { recursive: true })
  writeFileSync(join(models, 'our own/config.json'), '{}')
  expect(offered(['longwave', 'classify', '-m', 'our'], { LONGWAVE_MODELS: models })).toEqual(['our own'])
})

test('autocomplete without a shell says how to set it up', async () => {
  const { code, stdout } = await command(['autocomplete'])
  expect([code, stdout.toString()]).toEqual([0, expect.stringMatching(/^bash .*\n.*\n +longwave autocomplete bash > /)])
})
