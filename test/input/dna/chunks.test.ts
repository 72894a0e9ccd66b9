import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { UserError } from '../../../src/errors.js'
import { randomFrom, readBlocks } from './helpers.js'

// Where the input is cut into blocks must never show, and no bytes may break the reader.

const samples: Record<string, string> = {
  fasta: '\ufeff\n>a first\nACGT\nac gt12*\n\n;comment\r\n>\r\nNNRY.-U\r\n>b\n>c é\nAC\rGT',
  'bad fasta': '>a\nACGT\n>p\nACEF\nAC\n>s\nAC*GT\n>q\n12 13\n>z\nAC\0T\n>last\nTT',
  fastq: '@a x\nACGT\n+\nIIII\n\n@b\r\nAC\r\nGT\r\n+b\r\n@I\r\n+I\r\n@e\n\n+\n\n@c\rA\r+\r~',
  'bad fastq':
    '@a\nACGT\n+\nII\n@b\nACGT\n+\nIIII\n@c\nACET\n+\n@III\n@d\nAC\n+e\nII\n@f\nACG\n@g\nA\n+\n \n?\n@h\nA\n+\nIII\n@i\nA',
  json: '{"id":"a b","seq":"ACGT"}\n\n{"x":{"seq":"no","id":[1,"]"]},"id":"\\u0063","seq":"acN","y":"\\"}"}\r\n{"id":"","seq":""}',
  'bad json':
    '{"id":"a","seq":"AEC"}\n{"seq":"A","id":"b"}\n{"id":"c","seq":"A\n{"id":"d","seq":"A"}}\n[]\n{"id":"e"}\n{"id":"f","seq":"AC"}',
}

for (const [name, text] of Object.entries(samples)) {
  const bytes = Buffer.from(text)
  const head = bytes.subarray(0, 0)

  test.each(['fail', 'skip'] as const)(
    `${name}: cut in two at every byte, and into single bytes (%s)`,
    async (onError) => {
      const whole = await readBlocks([bytes], onError)
      expect(whole.error !== undefined).toBe(onError === 'fail' && name.startsWith('bad'))
      const parts = (cuts: number[]) => [0, ...cuts].map((from, i) => bytes.subarray(from, cuts[i] ?? bytes.length))
      const all = [...Array(bytes.length).keys()]
      for (const cuts of [...all.map((at) => [at]), all.slice(1)]) {
        const read = await readBlocks([head, ...parts(cuts)], onError)
        expect({ ...read, aborted: [] }).toEqual({ ...whole, aborted: [] })
      }
    },
  )
}

const specimens = ['htslib_faidx_fastqs.fq', 'needletail_spaced_fasta.fasta', 'derived_crlf_multi.fa'].map((file) =>
  readFileSync(`test/specimens/dna/${file}`),
)

test('specimens cut at random places', async () => {
  const next = randomFrom(1)
  for (const bytes of specimens) {
    const whole = await readBlocks([bytes])
    for (let round = 0; round < 5; round++) {
      const blocks = []
      for (let at = 0; at < bytes.length; ) {
        const length = 1 + Math.floor(next() ** 4 * 5000)
        blocks.push(bytes.subarray(at, at + length))
        at += length
      }
      expect(await readBlocks(blocks)).toEqual(whole)
    }
  }
})

test('random damage gives a UserError or records, and skip never throws', async () => {
  const next = randomFrom(2)
  const starts = [
    ...Object.values(samples).map((text) => Buffer.from(text)),
    ...specimens.map((s) => s.subarray(0, 2000)),
  ]
  const marks = Buffer.from('>@+;{}"\\\n\r \0*-:,~AE1')
  let [bad, good] = [0, 0]
  for (let round = 0; round < 1500; round++) {
    const bytes = Buffer.from(starts[round % starts.length])
    for (let damages = 1 + next() * 4; damages > 0; damages--) {
      const at = Math.floor(next() * bytes.length)
      const kind = next()
      if (kind < 0.5) bytes[at] = marks[Math.floor(next() * marks.length)]
      else if (kind < 0.7) bytes[at] = next() * 256
      else bytes.copyWithin(at, Math.floor(next() * bytes.length), bytes.length)
    }
    const cut = Math.floor(next() * bytes.length)
    const blocks = [bytes.subarray(0, cut), bytes.subarray(cut)]
    const strict = await readBlocks(blocks)
    const skipping = await readBlocks(blocks, 'skip')
    expect(skipping.error).toBeUndefined()
    const skipped = skipping.counts.skippedRecords + skipping.counts.skippedFiles
    if (strict.error) {
      bad++
      expect(strict.error).toBeInstanceOf(UserError)
      expect(strict.error.message).not.toMatch(/\n/)
      expect(skipped).toBeGreaterThan(0)
      // What came before the first bad place is the same.
      expect(skipping.records.slice(0, strict.records.length)).toEqual(strict.records)
    } else {
      good++
      expect(skipped).toBe(0)
      expect(skipping.records).toEqual(strict.records)
    }
  }
  expect(Math.min(bad, good)).toBeGreaterThan(50)
})
