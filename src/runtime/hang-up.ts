import { basename } from 'node:path'
import { accessOf, processFile } from './descriptors.js'

/**
 * Whether the program was started with SIGHUP ignored (`nohup`). Node sets all signals back to their defaults before
 * any JavaScript runs, so what is left to go by is: the command that bash, zsh or ksh ran, a parent that ignores the
 * signal (a script under `nohup`), and the input that GNU nohup puts in place of a terminal, /dev/null open for writing
 * only.
 */
export function hangUpIgnored(): boolean {
  if (basename(process.env._ ?? '') === 'nohup') return true
  const ignored = /^SigIgn:\t([0-9a-f]+)$/m.exec(processFile(`${process.ppid}/status`))
  if (ignored && Number.parseInt(ignored[1].slice(-1), 16) & 1) return true
  return accessOf(0) === 'write'
}
