// Writes what is made from the commands: oclif.manifest.json, with which a command line loads one command module
// instead of all; every help page to dist/help/, since a page printed from there takes half the time of one that oclif
// loads its core for; the completions to dist/completion/; man/longwave.1. Part of the build, because stale ones hide
// new commands and flags.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bashCompletion } from './completion/bash.js'
import { entries } from './completion/commands.js'
import { zshCompletion } from './completion/zsh.js'
import { manPage } from './man-page.js'

// Read by oclif when it is loaded.
Object.assign(process.env, { OCLIF_COLUMNS: '80', NO_COLOR: '1' })
const { Config, Help, Plugin } = await import('@oclif/core')

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const plugin = new Plugin({ root, ignoreManifest: true, errorOnManifestCreate: true, respectNoCacheDefault: true })
await plugin.load()
writeFileSync(join(root, 'oclif.manifest.json'), `${JSON.stringify(plugin.manifest, null, 2)}\n`)

class Page extends Help {
  text = ''

  log(...parts) {
    this.text += `${parts.join(' ')}\n`
  }
}

const config = await Config.load({ root })
const pages = join(root, 'dist/help')
rmSync(pages, { recursive: true, force: true })
mkdirSync(pages, { recursive: true })
const own = config.commands.filter(({ hidden }) => !hidden).map(({ id }) => id)
const topics = config.topics.filter(({ hidden }) => !hidden).map(({ name }) => name)
for (const id of ['', ...topics, ...own]) {
  const page = new Page(config)
  await page.showHelp(id === '' ? [] : id.split(':'))
  // The platform is that of the build; `longwave doctor` tells the user's.
  writeFileSync(
    join(pages, `${id.replaceAll(':', ' ')}.txt`),
    page.text.replace(config.userAgent, `longwave/${config.version}`),
  )
}

const frame = (shell) => readFileSync(join(root, 'scripts/completion', `frame.${shell}`), 'utf8')
const models = readdirSync(join(root, 'models')).sort()
mkdirSync(join(root, 'dist/completion'), { recursive: true })
for (const [shell, completion] of [
  ['bash', bashCompletion],
  ['zsh', zshCompletion],
])
  writeFileSync(join(root, 'dist/completion', shell), completion(frame(shell), entries(config), models))

mkdirSync(join(root, 'man'), { recursive: true })
writeFileSync(join(root, 'man/longwave.1'), manPage(config))
