import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'
import { command } from '../run-command.js'
import { longwave, shell, temporaryFolder } from './run.js'

const folder = temporaryFolder()

test.each([[['version']], [['--version']]])('%j prints a bare number', async (args) => {
  const { code, stdout, stderr } = await command(args)
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout.toString()).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test('the program runs by itself', () => {
  const env = { PATH: `${dirname(process.execPath)}:${process.env.PATH}` }
  expect(execFileSync(join(packageRoot, 'bin/run.js'), ['--version'], { env }).toString()).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test('version --json names the platform too', async () => {
  const { stdout } = await command(['version', '--json'])
  expect(JSON.parse(stdout.toString())).toMatchObject({ node: process.version, platform: process.platform })
})

test.each([[[]], [['-h']], [['models', '--help']]])('%j shows help', async (args) => {
  const { code, stdout, stderr } = await command(args)
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout.toString()).toContain('USAGE')
})

test.each([
  ['an unknown command', ['frobnicate'], 2, /^longwave: no such command: frobnicate \(see --help\)\n$/],
  [
    'a mistyped command',
    ['clasify'],
    2,
    /^longwave: no such command: clasify; did you mean classify\? \(see --help\)\n$/,
  ],
  [
    'one below a topic',
    ['train', 'clasify'],
    2,
    /^longwave: no such command: train clasify; did you mean train classify\? /,
  ],
  ['an argument', ['evaluate', 'a.fa'], 2, /^longwave: evaluate takes no arguments, got 'a.fa' \(see --help\)\n$/],
  ['a short one', ['models', 'lst'], 2, /^longwave: no such command: models lst; did you mean models list\? /],
  [
    'one whose help is asked for',
    ['train', 'clasify', '-h'],
    2,
    /^longwave: no such command: .*; did you mean train classify\? /,
  ],
  ['help for a mistyped one', ['help', 'clasify'], 2, /^longwave: no such command: clasify; did you mean classify\? /],
  [
    'a mistyped flag',
    ['classify', '--modle', 'x'],
    2,
    /^longwave: Nonexistent flag: --modle; did you mean --model\? \(see/,
  ],
  [
    'two of them',
    ['classify', '--no-progres', '--probablities'],
    2,
    /did you mean --no-progress, --probabilities\? \(see/,
  ],
  [
    'a mistyped model',
    ['classify', '-m', 'orign'],
    69,
    /^longwave: orign: no such model; did you mean origin\? bundled are /,
  ],
  [
    'a bad value',
    ['classify', '--strand', 'bth'],
    2,
    /^longwave: Expected --strand=bth to be one of: \+, -, both \(see/,
  ],
  ['an unknown flag', ['version', '--frob'], 2, /^longwave: Nonexistent flag: --frob \(see --help\)\n$/],
  ['too many arguments', ['models', 'info', 'x', 'y'], 2, /^longwave: Unexpected argument: y \(see --help\)\n$/],
  ['no model', ['models', 'info'], 2, /^longwave: which model\? -m NAME, -m FOLDER or -m ORG\/NAME; .*\n$/],
  ['an unknown model', ['models', 'info', 'nope'], 69, /^longwave: nope: no such model; .*\n$/],
])('%s is one line and its exit code', async (_, args, exitCode, line) => {
  const { code, stdout, stderr } = await command(args)
  expect(stderr).toMatch(line)
  expect(code).toBe(exitCode)
  expect(stdout.length).toBe(0)
})

test('--verbose adds the stack', async () => {
  const { stderr } = await command(['models', 'info', 'nope', '--verbose'])
  expect(stderr.split('\n')[0]).toMatch(/^longwave: nope: no such model/)
  expect(stderr).toMatch(/\n +at localModel/)
})

test('a bad number of threads is explained wherever it comes from', async () => {
  const flag = await command(['classify', '-t', '0', 'x.fa'])
  expect([flag.code, flag.stderr]).toEqual([
    2,
    "longwave: --threads: expected a whole number from 1 to 1024, got '0'\n",
  ])
  const env = await command(['classify', 'x.fa'], { env: { LONGWAVE_THREADS: 'many' } })
  expect(env.code).toBe(2)
  expect(env.stderr).toBe("longwave: --threads: expected a whole number from 1 to 1024, got 'many'\n")
})

test('models are listed and described, whatever their folder', async () => {
  const models = join(folder, 'models')
  makeModel(join(models, 'tiny'))
  mkdirSync(join(models, 'not a model'))
  const env = { LONGWAVE_MODELS: models }
  const list = await command(['models', 'list'], { env })
  expect(list.stdout.toString()).toMatch(
    /^name +parameters +labels +size +revision +test +description\ntiny +52 +2 +363 B +accuracy 0\.75 +A tiny one\.\n$/,
  )
  const info = JSON.parse((await command(['models', 'info', 'tiny', '--json'], { env })).stdout.toString())
  expect(info).toMatchObject({
    name: 'tiny',
    parameters: 52,
    labels: ['yes', 'no'],
    licence: 'MIT',
    test: { accuracy: 0.75 },
  })
  const byFolder = await command(['models', 'info', join(models, 'tiny')])
  expect(byFolder.stdout.toString()).toMatch(/^blocks +1 x mamba, d_model 4$/m)
  const missing = await command(['models', 'info'], { env })
  expect([missing.code, missing.stderr]).toEqual([
    2,
    'longwave: which model? -m NAME, -m FOLDER or -m ORG/NAME; bundled are tiny\n',
  ])
  const noModel = await command(['models', 'info', join(models, 'not a model')])
  expect(noModel.code).toBe(69)
})

test('a bundled model that hides a folder of its name is said', async () => {
  makeModel(join(folder, 'origin'))
  const run = (name: string) => command(['classify', '-m', name], { cwd: folder, input: '>a\nACGT\n' })
  const { code, stderr } = await run('origin')
  expect([code, stderr.split('\n')[0]]).toEqual([
    0,
    'longwave: -m origin is the bundled model; the folder of that name here is -m ./origin',
  ])
  expect((await run('./origin')).stderr).not.toContain('bundled')
})

test('a broken weight file is exit 69', async () => {
  const model = join(folder, 'broken')
  makeModel(model)
  writeFileSync(join(model, 'model.safetensors'), 'neither a header nor tensors')
  const { code, stderr } = await command(['models', 'info', model])
  expect(code).toBe(69)
  expect(stderr).toMatch(/^longwave: .*model\.safetensors: not a safetensors file: .*\n$/)
})

test('models info counts what the loader reads: shards, and not what lies beside one file', async () => {
  const model = join(folder, 'sharded')
  makeModel(model)
  const info = async () => {
    const { code, stdout, stderr } = await command(['models', 'info', model, '--json'])
    return code === 0 ? JSON.parse(stdout.toString()) : [code, stderr]
  }
  const weights = readFileSync(join(model, 'model.safetensors'))
  writeFileSync(join(model, 'model-00001-of-00001.safetensors'), weights)
  writeFileSync(join(model, 'optimizer.safetensors'), 'not even one')
  expect(await info()).toMatchObject({ parameters: 52, bytes: weights.length })

  rmSync(join(model, 'model.safetensors'))
  const index = join(model, 'model.safetensors.index.json')
  const shard = 'model-00001-of-00001.safetensors'
  writeFileSync(index, JSON.stringify({ weight_map: { a: shard, b: shard } }))
  expect(await info()).toMatchObject({ parameters: 52, bytes: weights.length })
  writeFileSync(index, JSON.stringify({ weight_map: { a: shard, b: shard, c: 'model-00002-of-00002.safetensors' } }))
  expect(await info()).toEqual([69, expect.stringMatching(/model-00002-of-00002\.safetensors: no such file\n$/)])

  rmSync(index)
  rmSync(join(model, shard))
  writeFileSync(join(model, 'pytorch_model.bin'), 'x')
  expect(await info()).toEqual([69, expect.stringMatching(/pytorch_model\.bin: not a file of torch\.save: .*\n$/)])
})

test('a broken folder is a line of models list, beside the good ones', async () => {
  const models = join(folder, 'site')
  for (const name of ['good', 'bad weights', 'bad config', 'bad spec']) makeModel(join(models, name))
  writeFileSync(join(models, 'bad weights', 'model.safetensors'), 'x')
  writeFileSync(join(models, 'bad config', 'config.json'), '{')
  writeFileSync(join(models, 'bad spec', 'config.json'), '{"format":"longwave"}')
  const env = { LONGWAVE_MODELS: models }
  const { code, stdout, stderr } = await command(['models', 'list'], { env })
  expect(code).toBe(0)
  const lines = stdout.toString().trimEnd().split('\n').slice(1)
  expect(lines[0]).toMatch(/^bad config +broken: .*config\.json: not JSON/)
  expect(lines[1]).toMatch(/^bad spec +broken: .*config\.json: spec is missing/)
  expect(lines[2]).toMatch(/^bad weights +broken: .*model\.safetensors: not a safetensors file/)
  expect(lines[3]).toMatch(/^tiny +52 +2 /)
  expect(stderr.trimEnd().split('\n')).toHaveLength(3)
  const json = JSON.parse((await command(['models', 'list', '--json'], { env })).stdout.toString())
  expect(json.map((model: { error?: string }) => model.error !== undefined)).toEqual([true, true, true, false])
})

test('doctor says what was picked and why', async () => {
  const { code, stdout } = await command(['doctor', '--json'])
  expect(code).toBe(0)
  const { backends, node, simd } = JSON.parse(stdout.toString())
  expect([node, simd]).toEqual([process.version, true])
  expect(backends[0]).toMatchObject({ name: 'cpu', state: 'picked' })
  expect(backends[0].detail).toMatch(/SIMD kernels, because .*; matrix products by/)
  const path = process.env.PATH
  process.env.PATH = ''
  const { stdout: table } = await command(['doctor'])
  process.env.PATH = path
  expect(table.toString()).toMatch(/^backend cpu +picked: /m)
  expect(table.toString()).toMatch(
    /^audio +WAV, FLAC; MP3 by libmpg123, .*\nffmpeg +no: not installed; needed for other/m,
  )
})

test.skipIf(process.platform !== 'linux')('too little address space is a line with its cures, which help', async () => {
  const line = 'longwave classify -q -m origin -t 1 "$ROOT/fixtures/fragments.fa" -o "$OUT"'
  const env = { OUT: join(folder, 'little.tsv') }
  const { code, stderr } = await shell(`ulimit -v 6000000; ${line}`, { env })
  expect([code, stderr]).toEqual([69, expect.stringMatching(/^longwave: no address space .*ulimit -v, h_vmem.*\n$/)])
  expect(existsSync(env.OUT)).toBe(false)
  const cured = await shell(`ulimit -v 6000000; NODE_OPTIONS=--disable-wasm-trap-handler ${line}`, { env })
  expect([cured.code, cured.stderr]).toEqual([0, ''])
})

test('no colours are written into pipes, and NO_COLOR holds on request', async () => {
  const { stdout, stderr } = await longwave(['--help'], { env: { NO_COLOR: '1' } })
  expect(`${stdout}${stderr}`).not.toContain('\u001b')
})

test('help into a closed pipe ends quietly', async () => {
  const { code, stderr } = await shell('set -o pipefail; longwave --help | true')
  expect([code, stderr]).toEqual([0, ''])
})

test('help onto a full disk is exit 74', async () => {
  const { code, stderr } = await shell('longwave --help > /dev/full')
  expect(code).toBe(74)
  expect(stderr).toMatch(/^longwave: cannot write: .*no space left.*\n$/)
})

test('a working folder that was removed: absolute paths work, relative ones are clear errors', async () => {
  const gone = `mkdir "$DIR/gone" && cd "$DIR/gone" && rmdir "$DIR/gone" && longwave`
  const env = { DIR: folder, TMPDIR: folder }
  const before = readdirSync(folder)
  const out = join(folder, 'gone.tsv')
  const good = await shell(`${gone} classify -q -m origin -o "${out}" "$ROOT/fixtures/fragments.fa"`, { env })
  expect([good.code, good.stderr]).toEqual([0, ''])
  expect(readFileSync(out, 'utf8').split('\n')).toHaveLength(14)
  rmSync(out)
  const input = await shell(`${gone} classify -m origin fragments.fa`, { env })
  expect([input.code, input.stderr]).toEqual([66, 'longwave: fragments.fa: no such file\n'])
  const output = await shell(`${gone} classify -m origin -o out.tsv "$ROOT/fixtures/fragments.fa"`, { env })
  expect(output.code).toBe(73)
  expect(output.stderr).toMatch(/^longwave: out\.tsv: cannot create the output: the working folder was removed\n$/)
  expect(readdirSync(folder)).toEqual(before)
})

// Only root can become a user that has no home anywhere.
test.runIf(process.platform === 'linux' && process.getuid?.() === 0)('no HOME and no home folder', async () => {
  const bare = `setpriv --reuid=54321 --regid=54321 --clear-groups env -i PATH="$PATH" "$NODE" "$ROOT/bin/run.js"`
  for (const args of ['doctor', '--help', 'classify -q -m origin "$ROOT/fixtures/fragments.fa"']) {
    const { code, stderr } = await shell(args.replace(/^/, `${bare} `))
    expect([args, code, stderr]).toEqual([args, 0, ''])
  }
})

/** A model folder with tensors of 4 x 12 and 4 numbers. */
function makeModel(path: string): void {
  mkdirSync(path, { recursive: true })
  const mixer = { kind: 'mamba', d_inner: 8, d_state: 4, dt_rank: 1, d_conv: 4 }
  const spec = {
    input: { kind: 'tokens', tokenizer: 'dna', vocab_size: 5 },
    ...{ d_embed: 4, stem: [], d_model: 4, norm: { kind: 'rms', eps: 1e-5 } },
    ...{ blocks: [{ mixer }], head: { kind: 'classes', labels: ['yes', 'no'], pool: 'mean' }, strand: 'stranded' },
    hidden_states: { embedding: true, blocks: 'residual', listed: 1, final: true },
  }
  const config = {
    format: 'longwave',
    name: 'tiny',
    description: 'A tiny one.',
    licence: 'MIT',
    spec,
    test: { accuracy: 0.75 },
  }
  writeFileSync(join(path, 'config.json'), JSON.stringify(config))
  const header = JSON.stringify({
    __metadata__: { format: 'pt' },
    a: { dtype: 'F32', shape: [4, 12], data_offsets: [0, 192] },
    b: { dtype: 'F32', shape: [4], data_offsets: [192, 208] },
  })
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  writeFileSync(join(path, 'model.safetensors'), Buffer.concat([length, Buffer.from(header), Buffer.alloc(208)]))
}
