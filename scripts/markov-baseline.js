// Bits per base of a Markov model of DNA, for the cards of models that predict the next base:
//     node scripts/markov-baseline.js train.fa valid.fa test.fa ..
// An order-k model with counts of both strands, each context leaning on the one that is a base shorter:
//     P_k(x | context) = (count(context x) + weight * P_{k-1}(x | shorter context)) / (count(context) + weight),  P_{-1} = 1/4
// Order and weight are those that are best on valid. The first base of a record is not predicted; N breaks a record.
import { readFileSync } from 'node:fs'

const longest = 12
const weights = [1, 4, 16, 64]
const [train, valid, ...tests] = process.argv.slice(2)
if (!valid) {
  console.error('usage: node scripts/markov-baseline.js TRAIN.fa VALID.fa TEST.fa ..')
  process.exit(2)
}

/** Codes A, C, G, T = 0 .. 3, anything else 4, of each record of a FASTA file. */
function records(file) {
  const texts = readFileSync(file, 'latin1')
    .split(/^>.*\n/m)
    .slice(1)
  return texts.map((text) =>
    Uint8Array.from(text.replace(/\s/g, ''), (base) => ('ACGTN'.indexOf(base.toUpperCase()) + 5) % 5),
  )
}

const otherStrand = (codes) => codes.map((code) => (code < 4 ? 3 - code : code)).reverse()

/** counts[k][context x]: how often a base follows a context of k bases. */
function count(all) {
  const counts = Array.from({ length: longest + 1 }, (_, k) => new Uint32Array(4 ** (k + 1)))
  for (const codes of all) {
    for (const strand of [codes, otherStrand(codes)])
      walk(strand, (context, known, base) => {
        for (let k = 0; k <= known; k++) counts[k][(context % 4 ** k) * 4 + base]++
      })
  }
  return counts
}

/** Calls `see` with each base that follows another: the `known` bases before it as a number. */
function walk(codes, see) {
  let [context, known] = [0, 0]
  for (const base of codes) {
    if (base > 3) {
      known = 0
      continue
    }
    if (known > 0) see(context, known, base)
    context = (context * 4 + base) % 4 ** longest
    known = Math.min(longest, known + 1)
  }
}

/** Bits per base of records, for each order. */
function bits(counts, all, weight) {
  const sums = new Float64Array(longest + 1)
  let bases = 0
  for (const codes of all)
    walk(codes, (context, known, base) => {
      bases++
      let p = 0.25
      for (let k = 0; k <= longest; k++) {
        if (k <= known) {
          const at = (context % 4 ** k) * 4
          const [a, c, g, t] = counts[k].subarray(at, at + 4)
          p = (counts[k][at + base] + weight * p) / (a + c + g + t + weight)
        }
        sums[k] -= Math.log2(p)
      }
    })
  return sums.map((sum) => sum / bases)
}

const counts = count(records(train))
const onValid = records(valid)
const tried = weights.flatMap((weight) =>
  Array.from(bits(counts, onValid, weight), (value, order) => ({ order, weight, value })),
)
const best = tried.reduce((least, one) => (one.value < least.value ? one : least))
console.log(`order ${best.order}, weight ${best.weight}: ${best.value.toFixed(4)} bits per base on ${valid}`)
for (const test of tests)
  console.log(`${test}: ${bits(counts, records(test), best.weight)[best.order].toFixed(4)} bits per base`)
