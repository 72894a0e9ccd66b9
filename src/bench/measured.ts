import { writeSync } from 'node:fs'
import { main } from '../shell/main.js'

/** The child's side of child.ts: one command line in this process, and on descriptor 3, at its end, what it took. */
process.on('exit', () => {
  // maxRSS is in kilobytes on every platform.
  const peakBytes = process.resourceUsage().maxRSS * 1024
  writeSync(3, JSON.stringify({ seconds: performance.now() / 1000, peakBytes }))
})
await main(process.argv.slice(2))
