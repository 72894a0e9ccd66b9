import { fstatSync, readFileSync, statSync } from 'node:fs'

/** How a descriptor is open; undefined where the system does not say (all but Linux). */
export function accessOf(fd: number): 'read' | 'write' | 'both' | undefined {
  const flags = /^flags:\t0*(\d+)$/m.exec(processFile(`self/fdinfo/${fd}`))
  return flags ? (['read', 'write', 'both'] as const)[Number.parseInt(flags[1], 8) & 3] : undefined
}

/**
 * Whether the program was started with standard output closed (`1>&-`). Node puts /dev/null, open for both, in its place before any
 * JavaScript runs; a shell opens it for writing only, and a daemon has it as standard error, too.
 */
export function standardOutputIsClosed(): boolean {
  return isOpenedNull(1) && !isOpenedNull(2)
}

const isOpenedNull = (fd: number) => accessOf(fd) === 'both' && fstatSync(fd).rdev === statSync('/dev/null').rdev

/** A file of Linux about a process; empty elsewhere. */
export function processFile(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, 'utf8')
  } catch {
    return ''
  }
}
