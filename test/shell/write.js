// write PATH LINES [--force] [--slow] [--hang]: numbered lines through the writer, behind the same guard as the
// program.

import { openOutput } from '../../build/src/output/output.js'
import { describeError } from '../../build/src/shell/describe.js'
import { guardProcess } from '../../build/src/shell/guard.js'

guardProcess()
const [path, lines, ...options] = process.argv.slice(2)
let peak = 0
try {
  const output = await openOutput(path, { force: options.includes('--force') })
  for (let i = 0; i < Number(lines); i++) {
    await output.write(`line ${i} ${'.'.repeat(60)}\n`)
    if (i % 10_000 === 0) peak = Math.max(peak, process.memoryUsage().rss)
  }
  if (options.includes('--hang')) {
    console.error('written')
    setInterval(() => {}, 1000)
    await new Promise(() => {})
  }
  await output.close()
  if (options.includes('--memory')) console.error(`${Math.round(peak / 2 ** 20)} MiB`)
} catch (error) {
  const { line, exitCode } = describeError(error)
  if (line !== null) console.error(`longwave: ${line}`)
  process.exit(exitCode)
}
