import { fstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename } from 'node:path'

/** How a descriptor is open; undefined where the system does not say (all but Linux). */
export function accessOf(fd: number): 'read' | 'write' | 'both' | undefined {
  const flags = /^flags:\t0*(\d+)$/m.exec(processFile(`self/fdinfo/${fd}`))
  return flags ? (['read', 'write', 'both'] as const)[Number.parseInt(flags[1], 8) & 3] : undefined
}

const shells = new Set(['sh', 'bash', 'dash', 'zsh', 'ksh', 'ksh93', 'mksh', 'fish', 'busybox'])

/**
 * Whether the program was started with standard output closed (`1>&-`). Node puts /dev/null, open for both, in its place before any
 * JavaScript runs. Shells open it for writing only (`> /dev/null`), but Python and Node give it to their children as it looks here, and so
 * does a shell that has it from them: so it counts as closed where the parent has none either, or is a shell that has another.
 */
export function standardOutputIsClosed(): boolean {
  if (accessOf(1) !== 'both' || fstatSync(1).rdev !== statSync('/dev/null').rdev) return false
  try {
    const parent = `/proc/${process.ppid}`
    if (!readdirSync(`${parent}/fd`).includes('1')) return true
    return shells.has(basename(readlinkSync(`${parent}/exe`))) && readlinkSync(`${parent}/fd/1`) !== '/dev/null'
  } catch {
    return false // a parent of another user
  }
}

/** A file of Linux about a process; empty elsewhere. */
export function processFile(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, 'utf8')
  } catch {
    return ''
  }
}
