// Puts the program together as it ships, in dist/: a start of it spends most of its time on loading modules, so what tsc
// compiled into build/, a file for a file, becomes few. Packages stay outside. Tests and scripts that want a module of
// its own, which dist/ does not have, find it in build/.
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'rolldown'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const commands = readdirSync(join(root, 'commands'), { recursive: true })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => `commands/${file.replaceAll('\\', '/').slice(0, -'.ts'.length)}`)

/** What is started or loaded by its name: the door, the library, threads and processes. */
const others = [
  'shell/main',
  'index',
  'tasks/worker',
  'training/worker',
  'training/audio/energy-worker',
  'backends/webgpu/inspect',
  'bench/measured',
].map((name) => `src/${name}`)

await build({
  cwd: root,
  input: Object.fromEntries([...commands, ...others].map((name) => [name, `./build/${name}.js`])),
  platform: 'node',
  external: /^[^./]/,
  output: { dir: 'dist', entryFileNames: '[name].js', chunkFileNames: 'chunks/[name].js' },
})
