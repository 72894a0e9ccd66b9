import { mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir, userInfo } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { exitCodes, UserError } from '../errors.js'

let folderGone = false

/**
 * Makes up for what a process may lack, since Node and oclif end without it: a home folder and a shell (`env -i` in a
 * container whose user has no entry in its list of users), and a working folder (removed while the shell was in it).
 * The one that takes its place is empty, so that a relative path names no input, and is removed again in the end.
 */
export function completeSurroundings(): void {
  if (!works(homedir)) process.env.HOME = '/'
  if (process.env.SHELL === undefined && !works(userInfo)) process.env.SHELL = '/bin/sh'
  try {
    process.cwd()
  } catch {
    folderGone = true
    moveToEmptyFolder()
  }
}

function moveToEmptyFolder(): void {
  try {
    const folder = mkdtempSync(join(tmpdir(), 'longwave-'))
    process.on('exit', () => rmSync(folder, { force: true, recursive: true }))
    process.chdir(folder)
  } catch {
    throw new UserError('the working folder was removed: cd to another one', exitCodes.noInput)
  }
}

/** Throws (UserError 73) for an output that would be created in a working folder that is gone. */
export function refuseLost(output: string): void {
  if (!folderGone || isAbsolute(output)) return
  throw new UserError(`${output}: cannot create the output: the working folder was removed`, exitCodes.cannotCreate)
}

function works(call: () => unknown): boolean {
  try {
    call()
    return true
  } catch {
    return false
  }
}
