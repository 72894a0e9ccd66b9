// What the completions of all shells are made of: every command line that may be completed, as plain data from oclif's
// manifest.

/**
 * kind of a value: `file`, `folder`, `model` (bundled or a folder), `words` (one of `words`), or `none` (a number, free
 * text).
 * @typedef {{ kind: string, words?: string[] }} Value
 * @typedef {{ names: string[], description: string, value: Value | null }} Flag  names: -m, --model
 * @typedef {{ name: string, description: string, flags: Flag[], args: Value | null, below: string[] }} Entry
 *   name: '', 'train', 'train classify'; below: the words that go on from there
 */

/** @returns {Entry[]} the program itself, topics, commands, and the same once more behind `help` */
export function entries(config) {
  const commands = config.commands.filter(({ hidden, id }) => !hidden && id !== 'help').map(commandEntry)
  // oclif counts every command as a topic too.
  const topics = config.topics
    .filter(({ name }) => commands.some((command) => command.name.startsWith(`${name} `)))
    .map(({ name, description }) => ({ name, description, flags: [], args: null, below: [] }))
  const root = { name: '', description: config.pjson.description, flags: [], args: null, below: [] }
  const own = [root, ...topics, ...commands].sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of own) entry.below = wordsBelow(entry.name, own)
  const help = own.map((entry) => ({ ...entry, name: `help ${entry.name}`.trim(), flags: [], args: null }))
  help[0].description = 'Display help for a command.'
  root.below = [...root.below, 'help']
  return [...own, ...help]
}

function commandEntry({ id, description, flags, args }) {
  const [first] = Object.values(args)
  return {
    name: id.replaceAll(':', ' '),
    description: summary(description),
    flags: Object.values(flags).flatMap(flagEntries),
    args:
      first === undefined ? null : expectedValue({ ...first, helpValue: first.helpValue ?? helpValues[first.name] }),
    below: [],
  }
}

/** oclif keeps no helpValue of arguments in its manifest. */
const helpValues = { inputs: 'FILE', model: 'NAME|FOLDER' }

function flagEntries({ name, char, description, type, allowNo, ...flag }) {
  const names = [...(char ? [`-${char}`] : []), `--${name}`]
  const value = type === 'boolean' ? null : expectedValue(flag)
  const own = { names, description, value }
  return allowNo ? [own, { names: [`--no-${name}`], description, value }] : [own]
}

function expectedValue({ options, helpValue = '' }) {
  if (options) return { kind: 'words', words: options }
  if (helpValue.includes('NAME|')) return { kind: 'model' }
  if (helpValue.includes('FILE')) return { kind: 'file' }
  const words = helpValue.split('|').filter((word) => /^[a-z]+$/.test(word))
  if (words.length > 0) return { kind: 'words', words }
  return { kind: /DIR|FOLDER/.test(helpValue) ? 'folder' : 'none' }
}

const summary = (description) => description.split(/[.:](\s|$)/)[0]

const wordsBelow = (name, own) =>
  own
    .filter((entry) => entry.name !== '' && entry.name.split(' ').slice(0, -1).join(' ') === name)
    .map((entry) => entry.name.split(' ').at(-1))
