import { totalmem } from 'node:os'
import { expect, test } from 'vitest'
import { availableMemory, cgroupMemory, slurmMemory } from '../../src/runtime/memory.js'

const GiB = 2 ** 30
const files = (all: Record<string, string>) => (path: string) => all[path] ?? null

test('the least limit of the control group and of those above it counts', () => {
  const v2 = {
    '/proc/self/cgroup': '0::/slurm/job_7/step_0\n',
    '/sys/fs/cgroup/slurm/job_7/step_0/memory.max': 'max\n',
    '/sys/fs/cgroup/slurm/job_7/memory.max': `${3 * GiB}\n`,
    '/sys/fs/cgroup/slurm/memory.max': `${64 * GiB}\n`,
  }
  expect(cgroupMemory(files(v2))).toBe(3 * GiB)
  expect(cgroupMemory(files({ ...v2, '/sys/fs/cgroup/slurm/job_7/step_0/memory.max': `${GiB}\n` }))).toBe(GiB)
})

test('version 1, and a container that sees its group as the root', () => {
  const cgroup = '5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n'
  const root = '/sys/fs/cgroup/memory/memory.limit_in_bytes'
  expect(cgroupMemory(files({ '/proc/self/cgroup': cgroup, [root]: `${2 * GiB}\n` }))).toBe(2 * GiB)
  expect(cgroupMemory(files({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': `${GiB}` }))).toBe(GiB)
  expect(cgroupMemory(files({ '/proc/self/cgroup': cgroup }))).toBe(Number.POSITIVE_INFINITY)
  expect(cgroupMemory(files({}))).toBe(Number.POSITIVE_INFINITY)
})

test('SLURM says how much a job has on the node, or each of its processors', () => {
  expect(slurmMemory({ SLURM_MEM_PER_NODE: '4096' })).toBe(4 * GiB)
  expect(slurmMemory({ SLURM_MEM_PER_CPU: '2048', SLURM_CPUS_ON_NODE: '3' })).toBe(6 * GiB)
  for (const env of [{}, { SLURM_MEM_PER_NODE: '0' }, { SLURM_MEM_PER_CPU: '2048' }])
    expect(slurmMemory(env)).toBe(Number.POSITIVE_INFINITY)
  expect(availableMemory(() => null, { SLURM_MEM_PER_NODE: '1' })).toBe(2 ** 20)
  expect(availableMemory(() => null, {})).toBe(totalmem())
})
