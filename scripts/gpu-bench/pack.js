// `npm run pack:gpu-bench [FILE]`: longwave-gpu-bench.tar.gz, which measures a GPU on a Linux machine that has its driver and nothing
// else. In it: this Node, the program without its models, the packages that it needs, Dawn for linux-x64, the Vulkan loader of
// scripts/software-gpu.sh, and run.sh. gzip, because every tar reads it; binaries without their symbols, because it must stay small
// enough for places where files are handed over.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const mostBytes = 40 * 2 ** 20
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const archive = resolve(process.argv[2] ?? 'longwave-gpu-bench.tar.gz')
const name = 'longwave-gpu-bench'

if (process.platform !== 'linux' || process.arch !== 'x64') fail('it can only be made on linux-x64')
const scratch = mkdtempSync(join(tmpdir(), `${name}-`))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))
const folder = join(scratch, name)

for (const path of ['bin', 'dist', 'package.json', 'oclif.manifest.json', 'LICENSE', ...packages()]) add(path)
for (const path of ['index.js', 'package.json', 'LICENSE.md', 'dist/linux-x64']) add(`node_modules/webgpu/${path}`)
cpSync(join(root, 'scripts/gpu-bench/run.sh'), join(folder, 'run.sh'))
cpSync(loader(), join(folder, 'lib/libvulkan.so.1'))
cpSync(process.execPath, join(folder, 'node'))
chmodSync(join(folder, 'node'), 0o755)
strip(join(folder, 'node'))
strip(join(folder, 'node_modules/webgpu/dist/linux-x64/dawn.node'))
check(join(folder, 'node'))

execFileSync('tar', [
  '-C',
  scratch,
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '-I',
  'gzip -9n',
  '-cf',
  `${archive}.part`,
  name,
])
const { size } = statSync(`${archive}.part`)
const mib = (size / 2 ** 20).toFixed(1)
if (size > mostBytes) {
  rmSync(`${archive}.part`)
  fail(`the archive would have ${mib} MiB, more than 40: a smaller Node than ${process.version} may help`)
}
renameSync(`${archive}.part`, archive)
console.log(`${relative('.', archive)}: ${mib} MiB`)

/** Copies what runs: no types, no tests. */
function add(path) {
  const filter = (file) => !/\.(d\.[cm]?ts|map)$/.test(file) && file !== join(root, 'dist/test')
  cpSync(join(root, path), join(folder, path), { recursive: true, filter })
}

/** Paths of the packages that a measurement cannot do without, as the lock file has them: none that reads audio or speaks to a hub. */
function packages() {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const others =
    /^node_modules\/(undici|codec-parser|mpg123-decoder|opus-decoder|simple-yenc|@eshaz|@wasm-audio-decoders)\b/
  const needed = ([path, { dev, optional, devOptional, peer }]) =>
    path && !others.test(path) && !dev && !optional && !devOptional && !peer
  return Object.entries(lock.packages)
    .filter(needed)
    .map(([path]) => path)
}

function loader() {
  const found = execFileSync('sh', [join(root, 'scripts/software-gpu.sh'), 'sh', '-c', 'echo "$VK_ICD_FILENAMES"'])
  const file = join(dirname(found.toString().trim()), 'libvulkan.so.1')
  if (!existsSync(file)) fail('the Vulkan loader cannot be had (see above)')
  return file
}

function strip(file) {
  const { error, status } = spawnSync('strip', ['-s', file], { stdio: 'inherit' })
  if (error || status !== 0) fail('strip is needed (Debian: binutils)')
}

/** Some distributions keep most of Node in a library of its own. */
function check(node) {
  if (/libnode/.test(execFileSync('ldd', [node]).toString()))
    fail('this Node is no single file: take one from nodejs.org')
}

function fail(line) {
  console.error(`pack-gpu-bench: ${line}`)
  process.exit(1)
}
