import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/runtime/package-root.js'

/** A block of code in a document, or the examples of a command's help, each a block of its own. */
export interface Block {
  /** README.md, docs/training.md, `--help of classify`. */
  document: string
  /** Line of the document, from 1. */
  line: number
  /** As they stand there, without the indentation of the block. */
  text: string[]
}

/** A command line, and what the document says that it prints ('' where it does not say). */
export interface Command {
  line: string
  prints: string[]
}

/** Every block of README.md, docs/, the model cards, and every example of --help. */
export function documentedBlocks(): Block[] {
  const below = (folder: string) => readdirSync(join(packageRoot, folder)).map((name) => `${folder}/${name}`)
  const cards = below('models').map((folder) => `${folder}/README.md`)
  const documents = ['README.md', 'fixtures/README.md', ...below('docs'), ...cards].filter((name) =>
    name.endsWith('.md'),
  )
  return [...documents.flatMap(blocksOf), ...examples()]
}

function blocksOf(document: string): Block[] {
  const blocks: Block[] = []
  let open: Block | null = null
  let fenced = false
  for (const [i, line] of readFileSync(join(packageRoot, document), 'utf8').split('\n').entries()) {
    const fence = line.startsWith('```')
    if (fence) fenced = !fenced
    const code = fenced || line.startsWith('    ')
    // Blank lines belong to the indented block around them.
    if (fence || (!code && line.trim() !== '')) open = null
    if (fence || !code) continue
    if (open === null) {
      open = { document, line: i + 1, text: [] }
      blocks.push(open)
    }
    open.text.push(fenced ? line : line.slice(4))
  }
  return blocks
}

function examples(): Block[] {
  const { commands } = JSON.parse(readFileSync(join(packageRoot, 'oclif.manifest.json'), 'utf8'))
  return Object.entries<{ examples?: string[] }>(commands).flatMap(([id, { examples = [] }]) =>
    examples.map((example) => ({
      document: `--help of ${id.replaceAll(':', ' ')}`,
      line: 1,
      text: [example.replaceAll('<%= config.bin %>', 'longwave')],
    })),
  )
}

/** The command lines of a block of shell: the lines after `$ ` where there are any, else all that are no comments. */
export function commandsOf({ text }: Block): Command[] {
  const joined = text
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
  const prompt = joined.some((line) => line.startsWith('$ '))
  const commands: Command[] = []
  for (const line of joined) {
    if (line.trim() === '') continue
    if (!prompt && !line.startsWith('#')) commands.push({ line: line.replace(/\s+#\s.*$/, ''), prints: [] })
    if (prompt && line.startsWith('$ ')) commands.push({ line: line.slice(2), prints: [] })
    else if (prompt) commands.at(-1)?.prints.push(line)
  }
  return commands
}

/** `longwave bench train [-t N] [--bidirectional]` says which flags there are; nobody types it. */
export const isSynopsis = (line: string) => / \[-/.test(line)
