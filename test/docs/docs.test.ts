import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'
import { HubServer } from '../hub/server.js'
import { hasFfmpeg } from '../input/audio/has-ffmpeg.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'
import { type Block, type Command, commandsOf, documentedBlocks, isSynopsis } from './commands.js'
import { mayPrintNothing, notRun, notShell, shortened, wildcards } from './exceptions.js'
import { makeFilms, modelFiles, modelOfHub, prepareFolder } from './folder.js'
import { standIn } from './stand-in.js'

const lacksFfmpeg = ({ line }: Command) => !hasFfmpeg && /\bffmpeg\b|\.(mp3|mp4|mkv|m4a)\b/.test(line)
const manifest = JSON.parse(readFileSync(join(packageRoot, 'oclif.manifest.json'), 'utf8'))

/** Entries of the lists of exceptions that a document has made use of. */
const used = new Set<object>()

function entryFor<Entry extends { starts: string }>(entries: Entry[], line: string): Entry | undefined {
  const entry = entries.find(({ starts }) => line.startsWith(starts))
  if (entry) used.add(entry)
  return entry
}

const blocks = documentedBlocks().flatMap(shellLines)

/** A block with its commands: of a workflow's rules the lines that they hand to the shell. */
function shellLines(block: Block): (Block & { commands: Command[] })[] {
  if (!entryFor(notShell, block.text[0])) return [{ ...block, commands: commandsOf(block).filter(isRun) }]
  return [...block.text.join('\n').matchAll(/"(longwave [^"]+)"/g)].map(([, written]) => {
    const line = written.replaceAll('${', '{')
    const values = entryFor(wildcards, line)?.values ?? {}
    const filled = Object.entries(values).reduce((text, [name, value]) => text.replaceAll(name, value), line)
    return { ...block, text: [filled], commands: [{ line: filled, prints: [] }] }
  })
}

function isRun({ line }: Command): boolean {
  return !isSynopsis(line) && !entryFor(notRun, line)
}

const folder = temporaryFolder()
let path = ''
const films = join(folder, 'films')
const hub = await HubServer.start()
hub.commit(modelOfHub, modelFiles())
/** The variables with which a command finds the hub of this test, and a cache of its own. */
const hubOf = (cwd: string) => ({ HF_ENDPOINT: hub.url, HF_HUB_OFFLINE: '', HF_HOME: join(cwd, '.huggingface') })

beforeAll(async () => {
  if (hasFfmpeg) makeFilms(films)
  else mkdirSync(films)
  await command(['models', 'pull', modelOfHub], { env: hubOf(folder) })
  const bin = join(folder, 'bin')
  standIn(bin)
  path = `${bin}:${join(packageRoot, 'node_modules/.bin')}:${process.env.PATH}`
})

const running = blocks.filter(({ commands }) => commands.length > 0)
// Also of what cannot run here.
for (const { line } of running.flatMap(({ commands }) => commands))
  for (const entries of [shortened, mayPrintNothing]) entryFor(entries, line)

describe.each([...new Set(running.map(({ document }) => document))])('%s', (document) => {
  for (const [i, block] of running.filter((block) => block.document === document).entries()) {
    const title = `line ${block.line}: ${block.commands[0].line}`
    const commands = block.commands.filter((command) => !lacksFfmpeg(command))
    test.skipIf(commands.length === 0)(title, async () => {
      const cwd = join(folder, `${document.replaceAll('/', ' ')} ${i}`)
      mkdirSync(cwd)
      prepareFolder(
        cwd,
        document,
        commands.flatMap(({ line }) => filesOf(line)),
        films,
      )
      if (commands.some(({ line }) => /models (info|verify|remove)/.test(line)))
        cpSync(hubOf(folder).HF_HOME, hubOf(cwd).HF_HOME, { recursive: true, verbatimSymlinks: true })
      for (const command of commands) await check(command, cwd)
    })
  }
})

describe('the lists of exceptions', () => {
  test('name nothing that is documented no more', () => {
    const all = [...notShell, ...wildcards, ...notRun, ...shortened, ...mayPrintNothing]
    expect(all.filter((entry) => !used.has(entry))).toEqual([])
  })

  test('flags of a synopsis exist', () => {
    const lines = documentedBlocks().flatMap((block) => commandsOf(block).filter(({ line }) => isSynopsis(line)))
    expect(lines.length).toBeGreaterThan(0)
    for (const { line } of lines) {
      const [words] = line.split(' [')
      const flags = Object.entries<{ char?: string }>(manifest.commands[words.split(' ').slice(1).join(':')].flags)
      const names = flags.flatMap(([name, { char }]) => [`--${name}`, `-${char}`])
      for (const [flag] of line.matchAll(/(?<=\[)--?[\w-]+/g)) expect(names, line).toContain(flag)
    }
  })
})

/** Runs a command as it stands and looks at what it printed or wrote. */
async function check({ line, prints }: Command, cwd: string): Promise<void> {
  const more = entryFor(shortened, line)?.flags ?? ''
  const { code, stdout, stderr } = await run(`${line} ${more}`.trim(), cwd)
  expect(code, `${line}\n${stderr}`).toBe(0)
  const files = filesOf(line)
  for (const file of files)
    expect(statSync(file.replace(/^~/, cwd).replace(/^(?!\/)/, `${cwd}/`)).size, file).toBeGreaterThan(0)
  if (files.length === 0 && !entryFor(mayPrintNothing, line)) expect(stdout, line).not.toBe('')
  // The document shows what comes on standard error behind it.
  const printed = stdout === '' ? [] : stdout.trimEnd().split('\n')
  if (prints.length > 0) expect(rounded(prints.slice(0, printed.length))).toEqual(rounded(printed))
}

/** The files that a command writes by name. */
const filesOf = (line: string) =>
  [...line.matchAll(/(?: -o| --report| --html| --predictions| --out| --output-dir| >) (\S+)/g)].map(([, file]) => file)

/** The words of every line, numbers to three digits: the last ones differ between processors. */
const rounded = (lines: string[]) =>
  lines.map((line) => line.split(/\s+/).map((word) => (/^(0|-\d)\.\d+$/.test(word) ? Number(word).toFixed(3) : word)))

interface Ran {
  code: number | null
  stdout: string
  stderr: string
}

const benchmarks = new Map<string, Promise<Ran>>()

/**
 * Runs a line, in a shell if it has something for one. Benchmarks make up their input: what one said once, it says in
 * every folder.
 */
function run(line: string, cwd: string): Promise<Ran> {
  if (!line.startsWith('longwave bench')) return runIn(cwd, line)
  const ran = benchmarks.get(line) ?? runIn(cwd, line)
  benchmarks.set(line, ran)
  return ran
}

async function runIn(cwd: string, line: string): Promise<Ran> {
  const env = { PATH: path, HOME: cwd, LC_ALL: 'C', ...hubOf(cwd) }
  if (!/^longwave [\w ./-]+$/.test(line)) return bash(line, cwd, env)
  const { code, stdout, stderr } = await command(line.split(/ +/).slice(1), { cwd, env })
  return { code, stdout: stdout.toString(), stderr }
}

function bash(line: string, cwd: string, env: Record<string, string>): Promise<Ran> {
  const child = spawn('bash', ['--norc', '-o', 'pipefail', '-c', line], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (part) => {
    stdout += part
  })
  child.stderr.setEncoding('utf8').on('data', (part) => {
    stderr += part
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
}
