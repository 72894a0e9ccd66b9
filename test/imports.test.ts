import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { packageRoot } from '../src/runtime/package-root.js'

/** The rooms of the house from the top floor down: a file imports from its own room and from those below. */
const floors = [
  'commands',
  'bench',
  'src/index.ts',
  'training',
  'tasks',
  'shell',
  'engine',
  'checkpoints',
  'layers',
  'backends',
  'input',
  'output',
  'tokens',
  'src/spec.ts',
  'runtime',
  'text',
  'src/errors.ts',
]

const files = ['commands', 'src'].flatMap((folder) =>
  readdirSync(join(packageRoot, folder), { recursive: true })
    .map((name) => `${folder}/${name}`)
    // AssemblyScript, compiled by itself.
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts') && !file.includes('/kernels/')),
)

const imports = new Map(files.map((file) => [file, importsOf(file)]))

/** Project files that a file imports, as types too. */
function importsOf(file: string): string[] {
  const code = readFileSync(join(packageRoot, file), 'utf8')
  return [...code.matchAll(/^(?:import|export|} from)?.*?(?:from |import\(|import )'(\.[^']+)\.js'/gm)].map(
    ([, path]) => `${relative(packageRoot, join(packageRoot, dirname(file), path))}.ts`,
  )
}

function floorOf(file: string): number {
  const [top, room, inner] = file.split('/')
  return floors.indexOf(top === 'commands' ? top : inner === undefined ? file : room)
}

test('every file is in a room of the house', () => {
  expect(files.filter((file) => floorOf(file) < 0)).toEqual([])
})

test('imports name files that exist', () => {
  const all = [...imports.values()].flat()
  expect(all.length).toBeGreaterThan(500)
  expect(all.filter((file) => !imports.has(file))).toEqual([])
})

test('imports run one way, from the commands down', () => {
  const upwards = [...imports].flatMap(([file, others]) =>
    others.filter((other) => floorOf(other) < floorOf(file)).map((other) => `${file} -> ${other}`),
  )
  expect(upwards).toEqual([])
})

test('no files import each other in a circle', () => {
  const done = new Set<string>()
  const path: string[] = []
  const circles: string[] = []
  const visit = (file: string) => {
    const at = path.indexOf(file)
    if (at >= 0) circles.push([...path.slice(at), file].join(' -> '))
    if (at >= 0 || done.has(file)) return
    path.push(file)
    imports.get(file)?.forEach(visit)
    path.pop()
    done.add(file)
  }
  files.forEach(visit)
  expect(circles).toEqual([])
})
