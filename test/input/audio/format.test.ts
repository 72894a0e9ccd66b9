import { expect, test } from 'vitest'
import { audioFormat, isText } from '../../../src/input/audio/format.js'
import { readSources } from '../../../src/input/dna/read.js'

const bytes = (text: string) => Buffer.from(text, 'latin1')

test.each([
  ['RIFF\x24\0\0\0WAVEfmt ', 'wav'],
  ['RIFX\0\0\0\x24WAVEfmt ', 'wav'],
  ['RIFF\x24\0\0\0AVI LIST', 'AVI'],
  ['FORM\0\0\0\x24AIFCFVER', 'AIFF'],
  ['\0\0\0\x20ftypM4A ', 'MP4 (M4A)'],
  ['\0\0\0\x08wide\0\0\0\0mdat', 'QuickTime'],
  ['FLV\x01\x04', 'Flash video'],
  ['\x0b\x77\x1c\x4c\x40', 'AC-3'],
  ['TTA1\x01\0', 'True Audio'],
  ['Creative Voice File\x1a', 'Creative Voice'],
  ['\0\0\x01\xba\x44', 'MPEG program stream'],
  ['\xff\xfb\x90\x64\0', 'MP3'],
  [`G\x40\x11\x10\0${'\xff'.repeat(183)}`.repeat(3), 'MPEG transport stream'],
  ['\x01\x02\x03\x04', undefined],
  ['G'.repeat(1000), undefined],
])('%j is %s', (start, format) => {
  expect(audioFormat(bytes(start))).toBe(format)
})

test('text that is cut inside a character is text, bytes are not', () => {
  expect(isText(Buffer.from('a héllo').subarray(0, 4))).toBe(true)
  expect(isText(Buffer.from('# playlist of a sort\n\0\x01\x02'))).toBe(true)
  expect(isText(Buffer.from([0x80, 0x81, 0x82]))).toBe(false)
  expect(isText(Buffer.from('caff\0\x01\0\0'))).toBe(false)
})

test.each(['>chrftyp\nACGT\n', '>readAIFF\nACGT\n', '>contAVI \nACGT\n', '@abcmdat\nACGT\n+\n!!!!\n'])(
  'a record of DNA may be called like a format: %j',
  async (text) => {
    const source = (async function* () {
      yield Buffer.from(text)
    })()
    const stream = readSources([{ file: 'test', bytes: source }])
    for await (const _ of stream);
    expect(stream.counts).toMatchObject({ records: 1, bases: 4 })
  },
)
