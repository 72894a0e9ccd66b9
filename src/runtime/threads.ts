import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** Cores this process may use: its CPU affinity and, in a container, the CPU quota of its control group. At least 1. */
export function availableThreads(): number {
  return Math.max(1, Math.min(availableParallelism(), cgroupLimit(readText)))
}

/**
 * Cores allowed by the control group, rounded up, or Infinity. Node sees this quota only from version 22 on, and sixty
 * threads on a quota of two are slower than two.
 */
export function cgroupLimit(read: (path: string) => string | null): number {
  const v2 = read('/sys/fs/cgroup/cpu.max')?.trim().split(/\s+/)
  const [quota, period] = v2 ?? [
    read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'),
    read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'),
  ]
  const cores = Number(quota) / Number(period)
  return cores > 0 && Number.isFinite(cores) ? Math.ceil(cores) : Number.POSITIVE_INFINITY
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
