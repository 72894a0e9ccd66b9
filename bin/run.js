#!/bin/sh
':' //; hup=ignored; trap hup= HUP; kill -HUP $$; trap - HUP; LONGWAVE_SIGHUP=$hup exec node --v8-pool-size=1 "$0" "$@"
// The door: plain JavaScript, so that a clone that was not built yet, or an old Node, gets a clear line too.
// The second line is one of the shell, and to Node a string and a comment: `env -S`, which would take the option as well, is missing in
// BusyBox. It finds out whether SIGHUP is ignored (`nohup`), which Node undoes when it starts: a shell cannot trap what was ignored before.
// One thread of V8 compiles and sweeps beside the program instead of four: each keeps memory of its own.
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
