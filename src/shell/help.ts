import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../runtime/package-root.js'

/**
 * The help page that a command line asks for, as the build wrote it (scripts/manifest.js); null: it asks for none, or
 * for one that only oclif can tell about. Reading it takes a few milliseconds, loading oclif's core 100 to 150.
 */
export function helpPage(argv: string[]): string | null {
  const flag = argv.findIndex((word) => word.startsWith('-'))
  const words = flag < 0 ? argv : argv.slice(0, flag)
  const asked = argv.length === 0 || words[0] === 'help' || ['-h', '--help'].includes(argv[flag])
  if (!asked || !words.every((word) => /^[a-z]+$/.test(word))) return null
  const named = words[0] === 'help' ? words.slice(1) : words
  if (words[0] === 'help' && flag >= 0) return null
  const page = join(packageRoot, 'dist/help', `${named.join(' ')}.txt`)
  return existsSync(page) ? readFileSync(page, 'utf8') : null
}
