import { spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, expect, test } from 'vitest'
import { packageRoot } from '../src/runtime/package-root.js'
import { Random } from '../src/runtime/random.js'
import { temporaryFolder } from './shell/run.js'

/**
 * Early ends at random moments: whatever happens, a command ends with its documented exit code, says its line and
 * leaves no file. Native code on other threads made this a matter of luck once, so each kind runs often: once in the
 * ordinary tests, 200 times with `npm run test:crash`, every time at other moments.
 */
const runs = Number(process.env.LONGWAVE_CRASH_RUNS ?? 1)
const seed = Number(process.env.LONGWAVE_CRASH_SEED ?? Date.now() % 2 ** 32)
/** Two at once, so that threads are interrupted where they seldom are on an idle machine. */
const atOnce = 2

interface Kind {
  /** What bash runs in an empty folder. `longwave` is the program; INPUT and its like are files made below. */
  line: string
  /** Sent at a random moment of the run. */
  signal?: 'SIGINT' | 'SIGTERM' | 'SIGHUP'
  /** Without a signal. */
  code?: number
  says?: RegExp
  /** Files that may be there afterwards. */
  leaves?: RegExp
}

const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const
const classify = 'longwave classify -q -m origin -t 2 --window 400 -o out.tsv --report report.tsv --html report.html'
const embed = 'longwave embed -q -m origin -t 2 -o out.npy'
const train = 'longwave train classify -q -t 2 --data GOOD --config CONFIG --out model --html report.html --labels'
const bad = /^longwave: .*: record bad, line \d+: expected letters of DNA, not '.' \(looks like protein\)\n$/

const kinds: Record<string, Kind> = {
  'classify, a bad record late': { line: `${classify} BAD`, code: 65, says: bad },
  'classify, gzip that is cut off': {
    line: `${classify} CUT`,
    code: 65,
    says: /^longwave: .*gzip data that is cut off.*\n$/,
  },
  'classify, a second file that is missing': {
    line: `${classify} GOOD x.fa`,
    code: 66,
    says: /^longwave: x\.fa: no such file\n$/,
  },
  'embed | head': { line: 'longwave embed -q -m origin -t 2 -f jsonl GOOD | head -n LINES > /dev/null', code: 0 },
  'embed to a full device': {
    line: 'longwave embed -q -m origin -t 2 -f jsonl GOOD > /dev/full',
    code: 74,
    says: /^longwave: .*cannot write: no space left on device\n$/,
  },
  'embed, a bad record late': { line: `${embed} BAD`, code: 65, says: bad },
  'embed, a bad record late, Parquet': { line: `${embed.replace('npy', 'parquet')} BAD`, code: 65, says: bad },
  // Files of more than 16 KiB are too large, as on a full disk.
  'embed to a full disk': {
    line: `ulimit -f 16; ${embed} GOOD`,
    code: 74,
    says: /^longwave: out\.npy: cannot write: .*\n$/,
  },
  'embed Parquet to a full disk': {
    line: `ulimit -f 16; ${embed.replace('npy', 'parquet')} GOOD`,
    code: 74,
    says: /^longwave: out\.parquet: cannot write: .*\n$/,
  },
  'transcribe, a second file that is cut in its header': {
    line: 'longwave transcribe -q -m digits -t 2 -o out.txt AUDIO CUTWAV',
    code: 65,
    says: /^longwave: .*ends after \d+ bytes.*\n$/,
  },
  'transcribe | head': {
    line: 'longwave transcribe -q -m digits -f tsv AUDIO AUDIO2 | head -n 1 > /dev/null',
    code: 0,
  },
  'train, a label that is missing late': {
    line: `${train} SHORTLABELS`,
    code: 65,
    says: /^longwave: .*no label in .*\n$/,
  },
}
kinds['train to a full disk'] = {
  line: `ulimit -f 16; ${train} LABELS`,
  code: 74,
  says: /^longwave: model\/checkpoint\/state: cannot write: .*\n$/,
}
for (const signal of signals) {
  kinds[`classify, ${signal}`] = { line: `exec ${classify} GOOD`, signal }
  kinds[`embed, ${signal}`] = { line: `exec ${embed} GOOD`, signal }
  kinds[`transcribe, ${signal}`] = {
    line: 'exec longwave transcribe -q -m digits -t 2 -o out.txt AUDIO AUDIO2',
    signal,
  }
  kinds[`train, ${signal}`] = {
    line: `exec ${train} LABELS`,
    signal,
    says: /^(longwave: stopped after step \d+; the same command resumes from there\n)?$/,
    leaves: /^model(\/(checkpoint(\/state)?|train-log\.jsonl))?$/,
  }
}

const folder = temporaryFolder()
const inputs = join(folder, 'inputs')

beforeAll(() => {
  console.info(`early ends of commands at random moments: LONGWAVE_CRASH_SEED=${seed}`)
  const random = new Random(seed)
  mkdirSync(inputs)
  const record = (id: string) => `>${id}\n${Array.from({ length: 500 }, () => 'ACGT'[random.int(4)]).join('')}\n`
  const records = Array.from({ length: 150 }, (_, i) => record(`r${i}`))
  writeFileSync(join(inputs, 'GOOD'), records.join(''))
  const labels = records.map((_, i) => `r${i}\t${i % 2 ? 'odd' : 'even'}\n`)
  writeFileSync(join(inputs, 'LABELS'), labels.join(''))
  writeFileSync(join(inputs, 'SHORTLABELS'), labels.slice(0, -1).join(''))
  const settings = { layers: 1, d_model: 16, d_state: 4, epochs: 4, batch: 32 }
  writeFileSync(join(inputs, 'CONFIG'), JSON.stringify(settings))
  copyFileSync(join(packageRoot, 'fixtures/digits.wav'), join(inputs, 'AUDIO'))
  copyFileSync(join(packageRoot, 'fixtures/sentence.wav'), join(inputs, 'AUDIO2'))
  writeFileSync(join(inputs, 'CUTWAV'), 'RIFF\x20\x00\x00\x00WAVEfmt ')
  // Many places where the input may turn bad.
  for (let i = 0; i < places; i++) {
    const before = 1 + random.int(records.length - 1)
    const all = [...records.slice(0, before), '>bad\nACGTMKVLQEIP\n', ...records.slice(before)].join('')
    writeFileSync(join(inputs, `BAD${i}`), all)
    const gzip = gzipSync(records.join(''), { level: 1 })
    writeFileSync(join(inputs, `CUT${i}`), gzip.subarray(0, 100 + random.int(gzip.length - 110)))
  }
})
const places = 10

test.each(Object.entries(kinds))(`%s: ${runs} times`, { timeout: 60_000 + 20_000 * runs }, async (name, kind) => {
  const whole = kind.signal ? await undisturbed(kind) : null
  let left = runs
  const some = async () => {
    while (left > 0) {
      const random = new Random(seed, Object.keys(kinds).indexOf(name), left--)
      const moment = whole && random.uniform(0, 0.95 * whole.milliseconds)
      const { milliseconds, ...found } = await run(kind, moment, random)
      const shown = { ...found, moment, seed }
      if (kind.signal) {
        const code = 128 + constants.signals[kind.signal]
        // It may have been faster this time.
        if (found.code !== 0) expect(shown).toMatchObject({ code })
      } else expect(shown).toMatchObject({ code: kind.code })
      expect(found.stderr, JSON.stringify(shown)).toMatch(kind.says ?? /^$/)
      if (found.code === 0) continue
      // Or it had come so far that all outputs had their names.
      if (whole && found.files.sort().join() === whole.files.sort().join()) continue
      expect(
        found.files.filter((file) => !kind.leaves?.test(file)),
        JSON.stringify(shown),
      ).toEqual([])
    }
  }
  await Promise.all(Array.from({ length: atOnce }, some))
})

/** What a command does that no signal ends, which is the same for every signal. */
async function undisturbed(kind: Kind): Promise<Ended> {
  const ended = wholes.get(kind.line) ?? (await run(kind, null, new Random(seed)))
  wholes.set(kind.line, ended)
  return ended
}
const wholes = new Map<string, Ended>()

interface Ended {
  /** As a shell gives it: 128 and the signal where one ended it. */
  code: number
  stderr: string
  files: string[]
  milliseconds: number
}

/** Runs a line once, in a folder of its own; sends the signal after `moment` ms, unless null. */
function run({ line, signal }: Kind, moment: number | null, random: Random): Promise<Ended> {
  const place = mkdtempSync(join(folder, 'run-'))
  const replaced = line.replace(/\b(GOOD|BAD|CUT|LABELS|SHORTLABELS|CONFIG|AUDIO2?|CUTWAV|LINES)\b/g, (name) => {
    if (name === 'LINES') return String(1 + random.int(300))
    const number = name === 'BAD' || name === 'CUT' ? random.int(places) : ''
    return `'${join(inputs, name + number)}'`
  })
  const script = replaced.replace(/\blongwave\b/, `'${join(packageRoot, 'bin/run.js')}'`)
  const began = performance.now()
  const child = spawn('bash', ['-o', 'pipefail', '-c', script], { cwd: place, stdio: ['ignore', 'ignore', 'pipe'] })
  const timer = moment === null ? undefined : setTimeout(() => child.kill(signal), moment)
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, by) => {
      clearTimeout(timer)
      const milliseconds = performance.now() - began
      const files = readdirSync(place, { recursive: true }).map(String)
      rmSync(place, { recursive: true })
      resolve({ code: code ?? 128 + constants.signals[by!], stderr, files, milliseconds })
    })
  })
}
