import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'

type Read = (path: string) => string | null

/**
 * Bytes of memory that this process may take: those of the machine, less where a control group (of a container, of a job) or SLURM
 * allows less.
 */
export function availableMemory(read: Read = readText, env: NodeJS.ProcessEnv = process.env): number {
  return Math.min(totalmem(), cgroupMemory(read), slurmMemory(env))
}

/** What the control group of the process and those above it allow, or Infinity. Node looks at the first of them only. */
export function cgroupMemory(read: Read): number {
  let least = Number.POSITIVE_INFINITY
  for (const line of read('/proc/self/cgroup')?.trim().split('\n') ?? []) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (path === undefined) continue
    const v2 = controllers === ''
    if (!v2 && !controllers.split(',').includes('memory')) continue
    const [root, file] = v2 ? ['/sys/fs/cgroup', 'memory.max'] : ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes']
    // In a container the group that the process sees may be mounted as the root.
    for (let at = path === '/' ? '' : path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
      const limit = Number(read(`${root}${at}/${file}`)?.trim() || Number.NaN)
      if (limit > 0) least = Math.min(least, limit)
      if (at === '') break
    }
  }
  return least
}

/** What SLURM gives the job on this node, in MiB of its variables, or Infinity; 0 stands for all of the node. */
export function slurmMemory(env: NodeJS.ProcessEnv): number {
  const { SLURM_MEM_PER_NODE: node, SLURM_MEM_PER_CPU: cpu, SLURM_CPUS_ON_NODE: cpus } = env
  const mebibytes = Number(node) || Number(cpu) * Number(cpus)
  return mebibytes > 0 ? mebibytes * 2 ** 20 : Number.POSITIVE_INFINITY
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
