import { exitCodes, UserError } from '../errors.js'
import { readList } from './infile-list.js'

/**
 * The input paths of a command: its arguments and the entries of `--infile-list`, in this order; standard input ('-')
 * if there is neither. Standard input can be named once, and a terminal without anything piped in is a usage error
 * instead of a silent wait.
 */
export async function inputPaths(args: string[] | undefined, list: string | undefined): Promise<string[]> {
  const listed = list === undefined ? [] : await readList(list)
  const paths = [...(args ?? []), ...listed]
  if (paths.length === 0) {
    if (list !== undefined) throw new UserError(`${list}: no input paths in this list`, exitCodes.noInput)
    if (process.stdin.isTTY) throw new UserError('no input: name files, or pipe into standard input', exitCodes.usage)
    return ['-']
  }
  const stdins = paths.filter((path) => path === '-').length + (list === '-' ? 1 : 0)
  if (stdins > 1) throw new UserError("standard input ('-') is given more than once", exitCodes.usage)
  return paths
}
