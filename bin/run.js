#!/usr/bin/env node
// The door: plain JavaScript, so that a clone that was not built yet, or an old Node, gets a clear line too.
// The line above is what npm's shims for Windows go by, and BusyBox takes one argument there: no sh, no `env -S`.
import { existsSync } from 'node:fs'

const main = new URL('../dist/src/shell/main.js', import.meta.url)
const nodeMajor = Number(process.versions.node.split('.')[0])

if (nodeMajor < 20) {
  console.error(`longwave: Node 20 or later is needed, this is ${process.version}`)
  process.exitCode = 69
} else if (!existsSync(main)) {
  console.error('longwave: this checkout is not built yet: run npm ci --ignore-scripts && npm run build')
  process.exitCode = 69
} else {
  await (await import(main.href)).main(process.argv.slice(2))
}
