import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'

const folder = mkdtempSync(join(tmpdir(), 'longwave gpu bench '))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The driver of the GPU that the processor plays; it has the loader that goes into the archive beside it. */
const driver = execFileSync('sh', ['scripts/software-gpu.sh', 'sh', '-c', 'echo "$VK_ICD_FILENAMES"'], {
  cwd: packageRoot,
  encoding: 'utf8',
}).trim()

test.runIf(existsSync(driver) && process.platform === 'linux' && process.arch === 'x64')(
  'the archive of npm run pack:gpu-bench is small, and measures a GPU where there is nothing else',
  () => {
    const archive = join(folder, 'bench.tar.gz')
    execFileSync('node', ['scripts/gpu-bench/pack.js', archive], { cwd: packageRoot })
    expect(statSync(archive).size).toBeLessThan(40 * 2 ** 20)

    const tools = join(folder, 'tools')
    mkdirSync(tools)
    for (const name of ['sh', 'dirname', 'mv', 'rm', 'tar', 'gzip'])
      symlinkSync(execFileSync('which', [name], { encoding: 'utf8' }).trim(), join(tools, name))
    const empty = join(folder, 'empty')
    mkdirSync(empty)
    const bare = (command: string, args: string[], env = {}) =>
      spawnSync(command, args, { cwd: empty, env: { PATH: tools, ...env }, encoding: 'utf8' })
    expect(bare(join(tools, 'tar'), ['-xzf', archive]).status).toBe(0)
    const run = './longwave-gpu-bench/run.sh'
    const flags = ['--rows', '64', '--batch', '1', '--tokens', '0', '--rounds', '1']

    const without = bare(run, flags, { VK_ICD_FILENAMES: '/no/driver' })
    expect([without.status, without.stdout]).toEqual([69, ''])
    expect(without.stderr).toMatch(/^longwave: the device webgpu found no GPU: /m)
    expect(readdirSync(empty)).toEqual(['longwave-gpu-bench'])

    const { status, stderr } = bare(run, flags, { VK_ICD_FILENAMES: driver })
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^run\.sh: the figures are in gpu-bench\.json$/m)])
    const { doctor, bench } = JSON.parse(readFileSync(join(empty, 'gpu-bench.json'), 'utf8'))
    const webgpu = doctor.backends.find(({ name }: { name: string }) => name === 'webgpu')
    expect(webgpu).toMatchObject({ state: 'available', detail: expect.stringContaining('SwiftShader driver') })
    expect(bench.machine.device).toBe(`webgpu: ${webgpu.detail}`)
    expect([bench.scans.length, bench.products.length, bench.models.length]).toEqual([2, 12, 0])
    expect(Math.min(...bench.scans.map(({ share }: { share: number }) => share))).toBeGreaterThan(0)

    expect(bare(run, flags)).toMatchObject({ status: 73, stderr: 'run.sh: gpu-bench.json exists already\n' })
  },
)
