// Draws what `bench long` has measured (docs/benchmarks.md):
//     longwave bench long --json > long.json && node scripts/plot-long.js long.json > docs/long.svg
import { readFileSync } from 'node:fs'
import { longPlot } from '../build/src/bench/long-plot.js'

const [file] = process.argv.slice(2)
if (!file) {
  console.error('usage: node scripts/plot-long.js LONG.json > LONG.svg')
  process.exit(2)
}
process.stdout.write(longPlot(JSON.parse(readFileSync(file, 'utf8'))))
