import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { pickBy } from '../../src/backends/registry.js'
import { factsOf } from '../../src/backends/webgpu/dawn.js'
import { writeRandomModel, writeRandomTranscriber } from '../../src/bench/models.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import { prepareDna } from '../../src/training/dna/prepare.js'
import { type TrainProgress, train } from '../../src/training/loop.js'
import { gpu, matrices } from '../backends/has-gpu.js'
import { command } from '../run-command.js'
import { longwave, shell } from '../shell/run.js'

const folder = mkdtempSync(join(tmpdir(), 'longwave-webgpu-'))
afterAll(() => rmSync(folder, { recursive: true }))
const fragments = join(packageRoot, 'fixtures/fragments.fa')
const classify = ['classify', '-q', '-m', 'origin', '-d', 'webgpu', fragments]

test.runIf(process.platform === 'linux')('without a driver: one line that says what to install, exit 69', async () => {
  const { code, stdout, stderr } = await longwave(classify, { env: { VK_ICD_FILENAMES: '/no/driver' } })
  expect([code, stdout.toString()]).toEqual([69, ''])
  expect(stderr).toMatch(/^longwave: the device webgpu found no GPU: .*libvulkan1.*\n$/)
})

describe('auto', async () => {
  const model = join(folder, 'tiny')
  const data = join(folder, 'reads.fa')
  mkdirSync(model)
  await writeRandomModel(model, { layers: 1, d_model: 8, bidirectional: false }, 400)
  writeFileSync(data, '>a\nACGT\n>b\nGGGCCC\n')
  const run = (args: string[], env = { VK_ICD_FILENAMES: '/no/driver' }) =>
    command(['classify', '-m', model, '--no-progress', ...args, data], { env })

  test.runIf(process.platform === 'linux')('without a GPU is the cpu, which it says with the reason', async () => {
    const { code, stdout, stderr } = await run(['-d', 'auto'])
    expect(code).toBe(0)
    expect(stderr).toMatch(/^longwave: device cpu \(the device webgpu found no GPU: .*\)\n2 records .*\n$/)
    expect(stdout).toEqual((await run([])).stdout)
    expect((await run(['-d', 'auto', '-q'])).stderr).toBe('')
    expect((await run([])).stderr).toMatch(/^2 records .*\n$/)
  })

  test('takes a card, and no processor that plays one', () => {
    const facts = { name: 'Card 9000', software: false, tensorBytes: 2 ** 31 }
    const gpu = { ...facts, matrices: [] }
    expect(pickBy({ works: true, detail: '', gpu })).toEqual({ device: 'webgpu', why: 'Card 9000', gpu })
    const played = pickBy({ works: true, detail: '', gpu: { ...gpu, name: 'llvmpipe', software: true } })
    expect(played).toEqual({ device: 'cpu', why: 'the only GPU is one that a processor plays: llvmpipe' })
    const limits = { maxStorageBufferBindingSize: 2 ** 32, maxBufferSize: 2 ** 40 } as GPUSupportedLimits
    const adapter = (description: string, isFallbackAdapter = false) =>
      factsOf({ info: { description, isFallbackAdapter } as GPUAdapterInfo, limits })
    expect(adapter('Card 9000')).toEqual(facts)
    for (const name of [
      'SwiftShader driver 5.0.0',
      'llvmpipe (LLVM 15.0.6, 256 bits)',
      'Microsoft Basic Render Driver',
    ])
      expect(adapter(name).software).toBe(true)
    expect(adapter('anything', true).software).toBe(true)
    const info = { device: 'llvmpipe-llvm-21-1-8-256-bits-', description: 'llvmpipe: Mesa' } as GPUAdapterInfo
    expect(factsOf({ info, limits }).name).toBe('llvmpipe-llvm-21-1-8-256-bits')
  })

  test('--verbose says what is planned and how long the start took', async () => {
    const { stderr } = await run(['--verbose', '-t', '2', '--chunk', '64'])
    expect(stderr).toMatch(
      /^longwave: device cpu; 2 workers; chunks of 64 tokens \(64 rows\), 4 under way; \d+ KiB of weights; about \d+ KiB of buffers; memory: \d+ MiB of [\d.]+ [KMG]iB, the rest for sequences that are held whole$/m,
    )
    expect(stderr).toMatch(
      /^longwave: started in \d+\.\d\d s: device \d+\.\d\d s, weights \d+\.\d\d s, first chunk \d+\.\d\d s$/m,
    )
    expect((await run(['--verbose', '-q'])).stderr).toBe('')
  })

  describe.skipIf(!gpu)('webgpu', () => {
    const played = { VK_ICD_FILENAMES: process.env.VK_ICD_FILENAMES! }
    const starts = (stderr: string) => stderr.match(/^longwave: started in .* pipelines .* on the device$/gm)

    test.runIf(gpu?.facts.software)('a processor that plays a GPU is not taken', async () => {
      const { stderr } = await run(['-d', 'auto'], played)
      expect(stderr).toMatch(/^longwave: device cpu \(the only GPU is one that a processor plays: .*\)$/m)
    })

    test('files, windows and strands share one device, which starts once', async () => {
      const args = ['--verbose', '-t', '4', '--window', '3', '--strand', 'both', data]
      const { code, stdout, stderr } = await run([...args, '-d', 'webgpu', '--chunk', '8'], played)
      expect(code).toBe(0)
      expect(stderr).toMatch(/^longwave: device webgpu: .*, tensors of up to [\d,]+ MiB; 1 worker; chunks of 8 tokens/m)
      expect(starts(stderr)).toHaveLength(1)
      const rows = stdout.toString().trimEnd().split('\n')
      expect(rows).toHaveLength(1 + 2 * 4)
      expect(rows.slice(1, 5)).toEqual(rows.slice(5))
    })

    test.runIf(matrices.includes('f16'))('--precision f16: matrices of float16, results a little rounded', async () => {
      const rows = async (precision: string) => {
        const args = ['-d', 'webgpu', '--probabilities', '--strand', '+', '--verbose', '--precision', precision]
        const { code, stdout, stderr } = await run(args, played)
        expect(code).toBe(0)
        expect(stderr.includes('matrices of float16; 1 worker')).toBe(precision === 'f16')
        return stdout
          .toString()
          .match(/0\.\d+/g)!
          .map(Number)
      }
      const [exact, rounded] = [await rows('f32'), await rows('f16')]
      expect(rounded).not.toEqual(exact)
      for (const [i, p] of rounded.entries()) expect(Math.abs(p - exact[i])).toBeLessThan(0.005)
    })

    test('--precision f16 is for a device that has it', async () => {
      const { code, stdout, stderr } = await run(['-d', 'auto', '--precision', 'f16'], {
        VK_ICD_FILENAMES: '/no/driver',
      })
      expect([code, stdout.toString()]).toEqual([69, ''])
      expect(stderr).toBe(
        'longwave: --precision f16: the device cpu has no float16; leave it out to compute in float32\n',
      )
    })

    test('recordings share one device, which starts once', async () => {
      const speaker = join(folder, 'speaker')
      mkdirSync(speaker)
      await writeRandomTranscriber(speaker, { layers: 1, d_model: 8, bidirectional: true })
      const recordings = ['derived_10ms.wav', 'hound_pop.wav', 'derived_10ms.wav'].map((name) =>
        join(packageRoot, 'test/specimens/wav', name),
      )
      const transcribe = (device: string) =>
        command(['transcribe', '-m', speaker, '-d', device, '--beam', '0', '-t', '4', '--verbose', ...recordings], {
          env: played,
        })
      const [onGpu, onCpu] = [await transcribe('webgpu'), await transcribe('cpu')]
      expect([onGpu.code, onCpu.code]).toEqual([0, 0])
      expect(starts(onGpu.stderr)).toHaveLength(1)
      // Letters of random weights may be close: a card rounds in its own way.
      if (gpu?.facts.software) expect(onGpu.stdout.toString()).toBe(onCpu.stdout.toString())
    })
  })
})

test('without the package: one line that says how to have it, exit 69', async () => {
  const hooks = join(folder, 'hooks.mjs')
  writeFileSync(
    hooks,
    `export const resolve = (name, context, next) => {
      if (name !== 'webgpu') return next(name, context)
      throw Object.assign(new Error('not there'), { code: 'ERR_MODULE_NOT_FOUND' })
    }`,
  )
  const register = join(folder, 'register.mjs')
  writeFileSync(register, `import { register } from 'node:module'\nregister(${JSON.stringify(`file://${hooks}`)})`)
  const { code, stdout, stderr } = await longwave(classify, { env: { NODE_OPTIONS: `--import=file://${register}` } })
  expect([code, stdout.toString()]).toEqual([69, ''])
  expect(stderr).toMatch(/^longwave: the device webgpu needs the npm package webgpu, which is not installed; .*\n$/)
})

describe.skipIf(!gpu)('webgpu', () => {
  /** Dawn prints two lines about limits of lavapipe, and nothing turns them off. */
  const ours = (stderr: string) => stderr.replace(/^Warning: maxDynamic\w+ artificially reduced .*\n/gm, '')

  test('origin gives the labels that it gives on cpu, and the process ends by itself', async () => {
    const labelsOf = (stdout: Buffer) =>
      [...stdout.toString().matchAll(/^(\S+)\t\d+\t(\S+)/gm)].map(([, ...row]) => row)
    const onGpu = await longwave([...classify, '--strand', '+'])
    expect([onGpu.code, ours(onGpu.stderr)]).toEqual([0, ''])
    const onCpu = await command(['classify', '-q', '-m', 'origin', '-d', 'cpu', '--strand', '+', fragments])
    expect(labelsOf(onGpu.stdout)).toHaveLength(12)
    expect(labelsOf(onGpu.stdout)).toEqual(labelsOf(onCpu.stdout))
  })

  // The bindings end the process if their thread is ended inside them.
  test.each([1.4, 2.4])('interrupted after %d s: exit 130 and nothing else', async (seconds) => {
    const many = Array.from({ length: 20 }, () => '"$ROOT/fixtures/fragments.fa"').join(' ')
    const line = `timeout --preserve-status -s INT ${seconds} "$NODE" "$ROOT/bin/run.js"`
    const { code, stderr } = await shell(`${line} classify -q -m origin -d webgpu ${many}`)
    expect([code, ours(stderr)]).toEqual([130, ''])
  })

  test('a signal in the middle of a long record, of which minutes of work could wait for the GPU, ends the process soon', async () => {
    const cwd = mkdtempSync(join(folder, 'long-'))
    const input = join(folder, 'long.fa')
    writeFileSync(input, `>long\n${'ACGTTGCAAC'.repeat(60_000)}\n`)
    const line = `timeout --preserve-status -k 9 -s TERM 5 "$NODE" "$ROOT/bin/run.js"`
    const { code, stderr } = await shell(`${line} classify -q -m origin -d webgpu -o out.tsv ${input}`, { cwd })
    expect([code, ours(stderr), readdirSync(cwd)]).toEqual([143, '', []])
  }, 20_000)

  test('a reader that goes away ends the process quietly', async () => {
    const line = `longwave classify -q -m origin -d webgpu --window 100 --chunk 800 ${Array(20).fill(fragments).join(' ')}`
    const { code, stdout, stderr } = await shell(`set -o pipefail; ${line} | head -n 1`)
    expect([code, stdout.toString(), ours(stderr)]).toEqual([0, 'id\tstart\tend\tlabel\tscore\n', ''])
  }, 20_000)

  test('doctor names it', async () => {
    const { stdout } = await command(['doctor', '--json'])
    const found = JSON.parse(stdout.toString()).backends.find(({ name }: { name: string }) => name === 'webgpu')
    expect(found).toMatchObject({ state: 'available', detail: expect.stringMatching(/tensors of up to \d+ MiB; /) })
  })

  describe('training', () => {
    const data = join(folder, 'x.fa')
    const labels = join(folder, 'x.tsv')
    const settings = join(folder, 'small.json')
    const ids = Array.from({ length: 8 }, (_, i) => `r${i}`)
    writeFileSync(data, ids.map((id, i) => `>${id}\n${(i % 2 ? 'ACGT' : 'GGCC').repeat(4)}\n`).join(''))
    writeFileSync(labels, `id\tlabel\n${ids.map((id, i) => `${id}\t${i % 2}\n`).join('')}`)
    const small = { layers: 1, d_model: 8, d_state: 2, batch: 4, shard: 2, epochs: 2, lr: 0.01, bidirectional: true }
    writeFileSync(settings, JSON.stringify(small))
    const lossesOf = (out: string) =>
      readFileSync(join(out, 'train-log.jsonl'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line).train_loss) // biome-ignore format: a list

    test('of a classifier follows that on cpu, and gives the same bytes again', async () => {
      const run = async (out: string, device: string) => {
        const { code, stderr } = await command(
          ['train', 'classify', '--data', data, '--labels', labels, '--valid', data, '--config', settings]
            .concat('--out', out, '-d', device, '-t', '2', '-q'),
        ) // biome-ignore format: a command line
        expect([code, stderr]).toEqual([0, ''])
        return readFileSync(join(out, 'model.safetensors'))
      }
      const [once, again, onCpu] = ['once', 'again', 'cpu'].map((name) => join(folder, `trained-${name}`))
      const model = await run(once, 'webgpu')
      expect((await run(again, 'webgpu')).equals(model)).toBe(true)
      await run(onCpu, 'cpu')
      expect(lossesOf(once)).toHaveLength(2)
      for (const [i, loss] of lossesOf(onCpu).entries()) expect(lossesOf(once)[i]).toBeCloseTo(loss, 4)
    })

    test('goes on on another device', async () => {
      const prepared = await prepareDna({ train: { data, labels }, valid: null }, small, null, 'none', () => {})
      const run = (out: string, device: 'cpu' | 'webgpu', until: number) => {
        const stop = new AbortController()
        const onProgress = ({ step }: TrainProgress) => {
          if (step === until) stop.abort()
        }
        return train({ ...prepared, out, device, threads: 1, card: {}, signal: stop.signal, onProgress })
      }
      const [straight, moved] = [join(folder, 'straight'), join(folder, 'moved')]
      await run(straight, 'cpu', Infinity)
      expect(await run(moved, 'cpu', 1)).toMatchObject({ finished: false, step: 1 })
      expect(await run(moved, 'webgpu', 3)).toMatchObject({ finished: false, step: 3 })
      expect(await run(moved, 'cpu', Infinity)).toMatchObject({ finished: true, step: 4 })
      for (const [i, loss] of lossesOf(straight).entries()) expect(lossesOf(moved)[i]).toBeCloseTo(loss, 4)
    })
  })
})
