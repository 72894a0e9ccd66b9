import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { printable, shortened } from '../../text/printable.js'
import { readText } from '../files.js'
import type { CachedRepo } from './cache.js'
import type { PullWatcher } from './client.js'
import { endpoint } from './environment.js'

/** What the card of a model (README.md) says of its licence, in one line; null: nothing. */
export async function licenceOf(folder: string): Promise<string | null> {
  const card = await readText(join(folder, 'README.md')).catch(() => '')
  const [, front] = /^---\r?\n([\s\S]*?)\r?\n---\s/.exec(card) ?? []
  if (front === undefined) return null
  const [licence, name, link] = ['license', 'license_name', 'license_link'].map((key) => frontValue(front, key))
  // `other` says no more than that there is a name.
  const words = licence === 'other' && name !== null ? name : licence
  if (words === null) return name
  return printable(shortened(link === null ? words : `${words} (${link})`, 300))
}

/** A text or a list of texts at the top of YAML, with commas between them. */
function frontValue(yaml: string, key: string): string | null {
  const [, inline, block] =
    new RegExp(`^${key}:[ \\t]*(.*)\\r?\\n?((?:[ \\t]*-[ \\t].*\\r?\\n?)*)`, 'm').exec(yaml) ?? []
  if (inline === undefined) return null
  const items = inline.trim() === '' ? block.split('\n').map((line) => line.replace(/^\s*-\s/, '')) : inline.split(',')
  const texts = items.map((item) => item.replace(/^[\s['"]+|[\s\]'"]+$/g, '')).filter((item) => item !== '')
  return texts.length === 0 ? null : texts.join(', ')
}

/**
 * Shows the licence of a model before it is used for the first time, and again when it is another one. What was shown is kept beside the
 * model; where nobody may write there, it is shown each time.
 */
export async function showLicence(repo: CachedRepo, folder: string, { note }: PullWatcher): Promise<void> {
  if (note === undefined) return
  const licence = (await licenceOf(folder)) ?? `not stated in its card: see ${new URL(repo.repo, endpoint()).href}`
  if ((await shownLicence(repo)) === licence) return
  note(`${repo.repo}: licence ${licence}`)
  await writeFile(shownFile(repo), licence).catch(() => {})
}

/** The licence of a model that was shown last; null: longwave has never used it. */
export const shownLicence = (repo: CachedRepo) => readFile(shownFile(repo), 'utf8').catch(() => null)

const shownFile = (repo: CachedRepo) => join(repo.folder, '.longwave-licence')
