// Runs bionode-fasta over files (one path per line on stdin) and prints {"file", "lines"} for each: its JSON lines, or
// null where it crashes. A process of its own, since it throws where nothing can catch it.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { gunzipSync } from 'node:zlib'

const fasta = createRequire(import.meta.url)('bionode-fasta')

let onCrash = () => {}
process.on('uncaughtException', () => onCrash())

const unpack = (bytes) => (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes)

const linesOf = (file) =>
  new Promise((resolve) => {
    onCrash = () => resolve(null)
    try {
      const bytes = unpack(readFileSync(file))
      const parts = []
      const stream = fasta()
      stream.on('data', (part) => parts.push(part))
      stream.on('error', () => resolve(null))
      stream.on('end', () => resolve(Buffer.concat(parts).toString()))
      stream.end(bytes)
    } catch {
      resolve(null)
    }
  })

for (const file of readFileSync(0, 'utf8').trim().split('\n')) {
  process.stdout.write(`${JSON.stringify({ file, lines: await linesOf(file) })}\n`)
}
