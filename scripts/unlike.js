// Whether the distance from what a model was trained on tells input that is unlike it (model cards). Of vectors of length 1 it is
// that to the tenth nearest of the training split (Sun et al. 2022, arXiv 2204.06507):
//     longwave embed -f jsonl -m MODEL train.fa > train.jsonl        likewise test.jsonl and what is unlike it
//     node scripts/unlike.js train.jsonl test.jsonl unlike.jsonl ...
// prints of each file that is unlike the area under the ROC curve, and how much of it is further away than 95 % of the test.
import { readFileSync } from 'node:fs'
import { Ranking } from '../build/src/training/metrics/ranking.js'

const nearest = 10

const [trainFile, testFile, ...unlikeFiles] = process.argv.slice(2)
if (unlikeFiles.length === 0) {
  console.error('usage: node scripts/unlike.js train.jsonl test.jsonl unlike.jsonl ...')
  process.exit(2)
}

/** Of each record its vector, of length 1. */
function vectorsOf(file) {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => {
    const { embedding } = JSON.parse(line)
    const length = Math.hypot(...embedding)
    return Float64Array.from(embedding, (x) => x / length)
  })
}

const train = vectorsOf(trainFile)

/** To the tenth nearest of the training split, sorted. */
function distancesOf(file) {
  const distances = vectorsOf(file).map((vector) => {
    const cosines = train.map((other) => other.reduce((sum, x, i) => sum + x * vector[i], 0))
    return Math.sqrt(2 - 2 * cosines.sort((a, b) => b - a)[nearest - 1])
  })
  return Float64Array.from(distances).sort()
}

const test = distancesOf(testFile)
const border = test[Math.ceil(0.95 * test.length) - 1]

for (const file of unlikeFiles) {
  const unlike = distancesOf(file)
  const isUnlike = Uint8Array.from({ length: unlike.length + test.length }, (_, i) => (i < unlike.length ? 1 : 0))
  const area = new Ranking(Float64Array.from([...unlike, ...test]), isUnlike).auroc()
  const beyond = unlike.filter((x) => x > border).length / unlike.length
  console.log(`${file}\tAUROC ${area.toFixed(3)}\tbeyond the border of 95 % ${(100 * beyond).toFixed(0)} %`)
}
