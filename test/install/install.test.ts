import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'

/** Everything happens below a path that shells, URLs and npm have to take with care. */
const folder = mkdtempSync(join(tmpdir(), 'longwave install #%41 '))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const elsewhere = join(folder, 'elsewhere')
const fixture = (name: string) => join(packageRoot, 'fixtures', name)
let tarball = ''

/** A clone of this working tree, packed by the one command of docs/install.md. */
beforeAll(() => {
  const clone = join(folder, 'clone')
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: packageRoot,
    encoding: 'utf8',
  })
  for (const path of files.split('\0').filter((path) => path !== '' && existsSync(join(packageRoot, path)))) {
    mkdirSync(dirname(join(clone, path)), { recursive: true })
    cpSync(join(packageRoot, path), join(clone, path))
  }
  npm(['pack'], clone)
  tarball = join(clone, readdirSync(clone).find((name) => name.endsWith('.tgz'))!)
  mkdirSync(elsewhere)
})

test('the package that npm pack makes of a fresh clone is built and has no tests', () => {
  const list = execFileSync('tar', ['-tzf', tarball.replaceAll('\\', '/')], { encoding: 'utf8' })
  expect(list).toMatch(/^package\/dist\/kernels\/relaxed\.wasm$/m)
  expect(list).toMatch(/^package\/docs\/input\.md$/m)
  expect(list).toMatch(/^package\/man\/longwave\.1$/m)
  expect(list).not.toMatch(/^package\/(dist\/)?test\//m)
})

test('npm i -g --ignore-scripts FILE: everything runs, nothing is written into the prefix', () => {
  const prefix = install('with', ['--ignore-scripts'])
  expect(run(prefix, ['doctor']).stdout).toMatch(/^onnxruntime +yes: /m)
  const before = snapshot(prefix)
  const { stdout, stderr } = run(prefix, ['classify', '-m', 'origin', fixture('fragments.fa')])
  expect(labels(stdout)).toEqual(expectedLabels())
  expect(stderr).not.toContain('ONNX Runtime')
  expect(run(prefix, ['transcribe', '-m', 'digits', fixture('digits.wav')]).stdout).toBe('two six four eight\n')
  expect(snapshot(prefix)).toEqual(before)
  expect(existsSync(join(prefix, 'share/man/man1/longwave.1'))).toBe(true)
})

test('npm i -g FILE where the script of onnxruntime-node downloads nothing: slower, the same labels, one line', () => {
  const prefix = install('without', [])
  expect(run(prefix, ['doctor']).stdout).toMatch(
    /^onnxruntime +no: onnxruntime-node is not installed; .*--ignore-scripts/m,
  )
  const { stdout, stderr } = run(prefix, ['classify', '-m', 'origin', '-t', '2', fixture('fragments.fa')])
  expect(labels(stdout)).toEqual(expectedLabels())
  expect(stderr.match(/ONNX Runtime/g)).toHaveLength(1)
  expect(stderr).toMatch(/^longwave: ONNX Runtime is not installed, .*--ignore-scripts$/m)
  expect(run(prefix, ['classify', '-q', '-m', 'origin', fixture('fragments.fa')]).stderr).toBe('')
  expect(run(prefix, ['transcribe', '-m', 'digits', fixture('digits.wav')]).stdout).toBe('two six four eight\n')
  // The reference backend loses nothing, and what computes nothing says nothing.
  const reference = run(prefix, ['classify', '-d', 'reference', '-m', 'promoter', fixture('promoters.fa')])
  expect(reference.stderr).not.toContain('ONNX Runtime')
  expect(run(prefix, ['models', 'list']).stderr).toBe('')
})

test('as a dependency, hoisted above the project: command and library', () => {
  const root = join(folder, 'workspace')
  const project = join(root, 'a project')
  mkdirSync(project, { recursive: true })
  writeFileSync(join(root, 'package.json'), JSON.stringify({ private: true, workspaces: ['a project'] }))
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'a-project', type: 'module', version: '1.0.0' }))
  npm(['install', '--ignore-scripts', '-w', 'a project', tarball], root)
  expect(existsSync(join(project, 'node_modules'))).toBe(false)
  const command = join(root, 'node_modules/.bin/longwave')
  expect(finish(command, ['classify', '-m', 'splice', fixture('splice.fa')], project).stdout).toMatch(/\tacceptor\t/)
  const program = `import { openModel } from 'longwave'
    const model = await openModel('origin')
    const { logits } = await model.forward(new Int32Array(500))
    await model.close()
    console.log(logits.length)`
  writeFileSync(join(project, 'use.js'), program)
  expect(finish(process.execPath, ['use.js'], project).stdout).toBe('6\n')
})

/** The prefix of a global installation of the package. */
function install(name: string, flags: string[]): string {
  const prefix = join(folder, `${name} prefix`)
  mkdirSync(prefix)
  npm(['install', '-g', '--prefix', prefix, ...flags, tarball], folder)
  return prefix
}

/** npm as a person starts it, outside of the run of npm that runs the tests. Only its registry answers. */
function npm(args: string[], cwd: string): void {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|VITEST|NODE_ENV)/.test(name)))
  const { status, stdout, stderr } = spawnSync('npm', args, {
    cwd,
    env: { ...env, GLOBAL_AGENT_HTTPS_PROXY: 'http://127.0.0.1:9' },
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`npm ${args.join(' ')}: ${stdout}${stderr}`)
}

const run = (prefix: string, args: string[]) => finish(join(prefix, 'bin/longwave'), args, elsewhere)

function finish(command: string, args: string[], cwd: string): SpawnSyncReturns<string> {
  const finished = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (finished.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${finished.stderr}`)
  return finished
}

const labels = (table: string) => table.split('\n').map((line) => line.split('\t')[2])

const expectedLabels = () =>
  labels(finish(join(packageRoot, 'bin/run.js'), ['classify', '-m', 'origin', fixture('fragments.fa')], folder).stdout)

/** Every file below a folder with its size and time. */
function snapshot(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => [name, statSync(join(path, name), { throwIfNoEntry: false })] as const)
    .map(([name, stats]) => `${name} ${stats?.size} ${stats?.mtimeMs}`)
    .sort()
}
