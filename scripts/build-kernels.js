// Compiles the AssemblyScript kernels of the cpu backend to dist/kernels/plain.wasm and relaxed.wasm.
// -O0 is on purpose: Binaryen's optimised output runs 1.6 to 2 times slower on Node 24 (V8 optimises either way).
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
mkdirSync(join(root, 'dist/kernels'), { recursive: true })

for (const [name, features] of [
  ['plain', ['simd']],
  ['relaxed', ['simd', 'relaxed-simd']],
]) {
  const { error, stderr } = await asc.main([
    'src/backends/cpu/kernels/index.ts',
    '--baseDir',
    root,
    '--outFile',
    `dist/kernels/${name}.wasm`,
    '-O0',
    '--noAssert',
    '--runtime',
    'stub',
    '--importMemory',
    '--use',
    'abort=',
    ...features.flatMap((feature) => ['--enable', feature]),
  ])
  if (error) {
    process.stderr.write(`${stderr}\n${error.message}\n`)
    process.exit(1)
  }
}
