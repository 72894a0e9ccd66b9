// Compiles the AssemblyScript kernels to dist/kernels, those of the cpu backend twice and that of resampling, and
// writes their bindings. -O0 is on purpose: Binaryen's optimised output runs 1.6 to 2 times slower on Node 24 (V8
// optimises either way).
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'
import { kernelBindings } from './kernel-bindings.js'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
mkdirSync(join(root, 'dist/kernels'), { recursive: true })

for (const [name, source, features, generated] of [
  ['plain', 'src/backends/cpu/kernels/index.ts', ['simd'], 'src/backends/cpu/kernels.generated.ts'],
  ['relaxed', 'src/backends/cpu/kernels/index.ts', ['simd', 'relaxed-simd']],
  ['polyphase', 'src/input/audio/kernels/polyphase.ts', ['simd'], 'src/input/audio/kernels.generated.ts'],
]) {
  const options = [
    source,
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
  ]
  const transforms = generated ? [kernelBindings(source, (text) => writeFileSync(join(root, generated), text))] : []
  const { error, stderr } = await asc.main(options, { transforms })
  if (error) {
    process.stderr.write(`${stderr}\n${error.message}\n`)
    process.exit(1)
  }
}
