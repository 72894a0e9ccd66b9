import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Comparison, goldenFolders, kindOf } from './golden-run/folders.js'

/**
 * `npm run test:golden`: every folder under LONGWAVE_GOLDEN (default test/golden) on every backend, one line each, and
 * at the end how many held. What is no golden folder is listed and not counted.
 */
process.env.LONGWAVE_TFJS ??= 'javascript'
const clone = fileURLToPath(new URL('../..', import.meta.url)) // this file runs as build/test/golden.js
const root = process.env.LONGWAVE_GOLDEN ?? `${clone}test/golden`
let [held, total] = [0, 0]

for (const folder of await goldenFolders(root)) {
  const name = basename(folder).padEnd(34)
  const kind = await kindOf(folder)
  if (typeof kind === 'string') {
    console.log(`-      ${name} ${kind}`)
    continue
  }
  for (const backend of kind.backends) {
    const result = await kind
      .check(folder, backend)
      .then(verdict, (error: Error) => ({ holds: false, text: error.message }))
    total++
    if (result.holds) held++
    console.log(`${result.holds ? 'held  ' : 'MISSED'} ${name} ${backend.padEnd(10)} ${result.text}`)
  }
}
console.log(`held ${held}/${total}`)
if (held < total || total === 0) process.exitCode = 1

function verdict(comparisons: Comparison[]): { holds: boolean; text: string } {
  const missed = comparisons.filter(({ share }) => !(share <= 1))
  const worst = comparisons.reduce((a, b) => (b.share > a.share ? b : a))
  const first = missed[0] ?? worst
  const holds = missed.length === 0
  const count = holds ? `${comparisons.length} tensors` : `${missed.length} of ${comparisons.length} tensors missed`
  return {
    holds,
    text: `${count}, ${holds ? 'worst' : 'first'} ${first.share.toFixed(3)} of the tolerance (${first.what})`,
  }
}
