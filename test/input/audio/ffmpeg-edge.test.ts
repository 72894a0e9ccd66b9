import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.js'
import { readAudio } from '../../../src/input/audio/read.js'
import { randomFrom } from '../dna/helpers.js'
import { standIns } from './ffmpeg-helpers.js'
import { hasFfmpeg } from './has-ffmpeg.js'
import { chunk, decode, fmt, int16, join, riff, sameBytes, specimen } from './helpers.js'

const stand = standIns()
const folder = mkdtempSync(joinPath(tmpdir(), 'longwave films '))
afterAll(() => rmSync(folder, { recursive: true }))
const path = (name: string) => joinPath(folder, name)

async function read(file: string) {
  const warnings: string[] = []
  const pieces: Float32Array[] = []
  try {
    const audio = await readAudio(file, { report: ({ message }) => warnings.push(message.replace(`${file}: `, '')) })
    for await (const piece of audio) pieces.push(piece.slice())
    return { samples: join(pieces), rate: audio.rate, warnings }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { samples: join(pieces), warnings, error: [error.message.replace(`${file}: `, ''), error.exitCode] }
  }
}

const aiff = [specimen('goaudio_bloop.aif')]
const unknown = (place = '') =>
  `no known format of audio, expected WAV or what ffmpeg reads${place}; raw samples need a header: ffmpeg -f s16le -ar 16000 -ac 1 -i FILE NEW.wav`

describe('a program in the place of ffmpeg', () => {
  const wav = (values: number[]) =>
    riff([chunk('fmt ', fmt({ rate: 1000 })), chunk('data', int16(values), 0xffffffff)], 'RIFF', 0xffffffff)
  const give = (values: number[], then = '') =>
    `process.stdout.write(Buffer.from('${wav(values).toString('base64')}', 'base64'), () => { ${then} })`
  /** Lines of frames that begin at these samples, one sample each. */
  const frames = (...starts: (number | 'NOPTS')[]) =>
    starts
      .map(
        (pts, n) => `[Parsed_ashowinfo_1 @ 0x55ab] [info] n:${n} pts:${pts} pts_time:1 fmt:flt rate:1000 nb_samples:1 `,
      )
      .map((line) => `console.error('${line}');`)
      .join('')
  const half = (count: number) => new Array(count).fill(0.5)

  test('that is killed is an error, after what it gave', async () => {
    stand.install(give([16384], `process.kill(process.pid, 'SIGKILL')`))
    const { samples, error } = await decode(aiff)
    expect(samples).toEqual(Float32Array.of(0.5))
    expect([error?.message, error?.exitCode]).toEqual(['test: ffmpeg was killed (SIGKILL)', 74])
  })

  test.each([
    ['nothing at all', ''],
    ['a header alone', give([])],
  ])('that gives %s and ends well is an error', async (_, script) => {
    stand.install(script)
    const { error } = await decode(aiff)
    expect([error?.message, error?.exitCode]).toEqual(['test: AIFF that ffmpeg cannot read (no sample in it)', 65])
  })

  test('says when each frame sounds: a late start and holes are silence, less than 0.1 s is not', async () => {
    stand.install(`${frames(2000, 'NOPTS', 2050, 2200, 2151)} ${give([16384, 16384, 16384, 16384, 16384])}`)
    const { samples, warnings } = await decode(aiff)
    const silence = (count: number) => new Array(count).fill(0)
    const expected = [...silence(2000), ...half(3), ...silence(2200 - 2003), ...half(2)]
    expect(samples).toEqual(Float32Array.from(expected))
    expect(warnings).toEqual([])
  })

  test('whose times step back, or ahead by days, loses no sample', async () => {
    stand.install(`${frames(0, 5000, 1000, 1001, 200_000_000)} ${give([16384, 16384, 16384, 16384, 16384])}`)
    const { samples, warnings } = await decode(aiff)
    expect(samples).toEqual(Float32Array.from([0.5, ...new Array(4999).fill(0), 0.5, 0.5, 0.5, 0.5]))
    expect(warnings).toEqual([
      'test: its times jump 4.001 s back at 5.001 s: what follows is taken to come right after',
    ])
  })

  test('fills hours with silence block by block', async () => {
    stand.install(`${frames(0, 10_000_000)} ${give([16384, 16384])}`)
    writeFileSync(path('hole.aif'), aiff[0])
    let [length, longest, sum] = [0, 0, 0]
    for await (const piece of await readAudio(path('hole.aif'))) {
      length += piece.length
      longest = Math.max(longest, piece.length)
      sum += piece.at(-1)!
    }
    expect([length, longest < 200_000, sum]).toEqual([10_000_001, true, 1])
  })

  test('is given a long stream in many turns, and Node does not warn', async () => {
    stand.install(`process.stdin.on('data', () => {}); process.stdin.on('end', () => { ${give([16384])} })`)
    const noticed: Error[] = []
    const notice = (warning: Error) => noticed.push(warning)
    process.on('warning', notice)
    const blocks = [...aiff, ...Array.from({ length: 60 }, () => new Uint8Array(1 << 18))]
    expect((await decode(blocks)).samples).toEqual(Float32Array.of(0.5))
    process.off('warning', notice)
    expect(noticed).toEqual([])
  })

  test('may name no addresses and no other files', async () => {
    stand.install(`
      const { argv } = process
      const [only, at] = [argv.indexOf('-protocol_whitelist'), argv.indexOf('-i')]
      if (only > 0 && only < at && argv[only + 1] === argv[at + 1].split(':')[0]) ${give([16384])}`)
    writeFileSync(path('whitelist.aif'), aiff[0])
    expect((await read(path('whitelist.aif'))).samples).toEqual(Float32Array.of(0.5))
    expect((await decode(aiff)).samples).toEqual(Float32Array.of(0.5))
  })

  test('is not asked about text, packed data and nothing', async () => {
    stand.install(`require('node:fs').writeFileSync(${JSON.stringify(path('asked'))}, '')`)
    const playlist = '#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://example.org/a.ts\n#EXT-X-ENDLIST\n'
    for (const [bytes, message] of [
      [Buffer.from('the quick brown fox'), unknown()],
      [Buffer.from('héllo wörld, a few lines\r\nof text\n'.repeat(500)), unknown()],
      [Buffer.from('\ufeffhello, wide world\n', 'utf16le'), 'UTF-16 text, expected audio'],
      [Buffer.from('>chr1\nACGT\n'), unknown()],
      [Buffer.from(playlist), unknown()],
      [Buffer.from(`${playlist}${'\0'.repeat(5000)}`), unknown()],
      [Buffer.from('ffconcat version 1.0\nfile /etc/hostname\n'), unknown()],
      [Buffer.from('v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=audio 5004 RTP/AVP 96\r\n'), unknown()],
      [Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), 'gzip data, expected audio'],
      [Buffer.alloc(0), 'empty, expected audio'],
    ] as const) {
      const { error } = await decode([bytes])
      expect([error?.message, error?.exitCode]).toEqual([`test: ${message}`, 65])
    }
    expect(existsSync(path('asked'))).toBe(false)
  })

  test('is asked about what we do not know, and believed unless it only guesses', async () => {
    const bytes = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8])
    stand.install(give([16384]))
    expect((await decode([bytes])).samples).toEqual(Float32Array.of(0.5))
    const guess = '[mp3 @ 0x5f] [warning] Format mp3 detected only with low score of 1, misdetection possible!'
    stand.install(`console.error('${guess}'); ${give([16384])}`)
    expect((await decode([bytes])).error?.message).toBe(`test: ${unknown()}`)
    stand.install(`console.error('[error] pipe:0: Invalid data found when processing input'); process.exitCode = 1`)
    expect((await decode([bytes])).error?.message).toBe(`test: ${unknown()}`)
    stand.remove()
    const { error } = await decode([bytes])
    expect([error?.message, error?.exitCode]).toEqual([`test: ${unknown(' (which is not installed)')}`, 65])
  })
})

describe.skipIf(!hasFfmpeg)('ffmpeg itself', () => {
  /** Half a second of noise each at 0.5 and at 2 s, of 3 s. */
  const rate = 16_000
  const sounds = (at: number) => (at >= 0.5 && at < 1) || (at >= 2 && at < 2.5)
  const ffmpeg = (...args: string[]) => execFileSync('ffmpeg', ['-v', 'error', '-y', ...args], { cwd: folder })
  const picture = ['-f', 'lavfi', '-i', 'color=c=black:s=64x64:r=25:d=20']

  beforeAll(() => {
    const random = randomFrom(1)
    const values = Array.from({ length: 3 * rate }, (_, i) =>
      sounds(i / rate) ? Math.round(9000 * random()) - 4500 : 0,
    )
    writeFileSync(path('a.wav'), riff([chunk('fmt ', fmt({})), chunk('data', int16(values))]))
  })

  /** Where a sound begins after silence, in seconds. */
  function starts({ samples, rate }: { samples: Float32Array; rate?: number }): number[] {
    const block = rate! / 100
    const found: number[] = []
    let silent = 100
    for (let at = 0; at + block <= samples.length; at += block) {
      const isLoud = samples.subarray(at, at + block).some((sample) => Math.abs(sample) > 0.03)
      if (isLoud && silent > 20) found.push(at / rate!)
      silent = isLoud ? 0 : silent + 1
    }
    return found
  }

  test.each([
    ['film.mp4', ['-c:v', 'mpeg4', '-c:a', 'aac']],
    ['film.mkv', ['-c:v', 'mpeg4', '-c:a', 'flac']],
    ['film.mov', ['-c:v', 'mpeg4', '-c:a', 'alac']],
    ['film.ts', ['-c:v', 'mpeg2video', '-c:a', 'mp2']],
    ['film.mpg', ['-c:v', 'mpeg2video', '-c:a', 'mp2']],
  ])('%s: sound that begins 4 s after the picture, and a hole of 12 s', async (name, codecs) => {
    const { error, ...film } = await (async () => {
      ffmpeg(...picture, '-itsoffset', '4', '-i', 'a.wav', '-map', '0:v', '-map', '1:a', ...codecs, name)
      return read(path(name))
    })()
    expect(error).toBeUndefined()
    const hole = ['-af', "asetpts='PTS+if(gte(T,1.5),12/TB,0)'"]
    ffmpeg(...picture, '-i', 'a.wav', '-map', '0:v', '-map', '1:a', ...hole, ...codecs, name)
    const holed = await read(path(name))
    for (const [found, expected] of [
      [film, [4.5, 6]],
      [holed, [0.5, 14]],
    ] as const) {
      expect(found.warnings).toEqual([])
      expect(starts(found)).toHaveLength(2)
      for (const [i, start] of starts(found).entries()) expect(Math.abs(start - expected[i])).toBeLessThan(0.1)
    }
  })

  test.each(['late.m4a', 'late.mka'])('%s: sound alone that begins at 4 s', async (name) => {
    ffmpeg('-itsoffset', '4', '-i', 'a.wav', name)
    for (const [i, start] of starts(await read(path(name))).entries()) {
      expect(Math.abs(start - [4.5, 6][i])).toBeLessThan(0.1)
    }
  })

  test('an edit list that begins inside the sound', async () => {
    ffmpeg('-i', 'a.wav', '-c:a', 'aac', 'whole.m4a')
    ffmpeg('-ss', '0.3', '-i', 'whole.m4a', '-c', 'copy', 'edited.m4a')
    for (const [i, start] of starts(await read(path('edited.m4a'))).entries()) {
      expect(Math.abs(start - [0.2, 1.7][i])).toBeLessThan(0.1)
    }
  })

  const plain: [string, string[]][] = [
    ['plain.m4a', []],
    ['plain.mka', []],
    ['plain.ts', ['-c:a', 'mp2']],
    ['plain.avi', ['-c:a', 'mp2']],
    ['plain.flv', ['-c:a', 'aac']],
    ['plain.mpg', ['-c:a', 'mp2']],
    ['plain.ac3', []],
    ['plain.tta', []],
    ['plain.voc', []],
    ['plain.caf', []],
    ['plain.wv', []],
  ]
  const six = ['-af', 'pan=5.1|FL=c0|FR=0.5*c0|FC=0.4*c0|LFE=0.3*c0|BL=0.2*c0|BR=0.1*c0']
  /** What is decoded without ffmpeg: channels, and how it is made. */
  const decodedHere: [string, number, string[]][] = [
    ['plain.flac', 1, []],
    ['deep.flac', 2, ['-af', 'volume=0.37:precision=double,pan=stereo|c0=c0|c1=0.9*c0', '-sample_fmt', 's32']],
    ['six.flac', 6, six],
    ['flac.oga', 2, ['-ac', '2', '-c:a', 'flac']],
    ['plain.mp3', 1, []],
    ['vbr.mp3', 2, ['-ac', '2', '-q:a', '5', '-ar', '22050']],
    ['untagged.mp3', 1, ['-write_xing', '0', '-ar', '44100']],
    ['plain.mp2', 2, ['-ac', '2']],
    ['plain.opus', 1, []],
    ['six.opus', 6, [...six, '-mapping_family', '1']],
    ['plain.ogg', 1, []],
    ['six.ogg', 6, six],
  ]
  // All at once: a process takes longer to start than to read three seconds.
  beforeAll(() => {
    const all = [...plain, ...decodedHere.map(([name, , codec]) => [name, codec] as const)]
    ffmpeg('-i', 'a.wav', ...all.flatMap(([name, codec]) => ['-ar', '48000', ...codec, name]))
    const inputs = all.flatMap(([name]) => ['-i', name])
    ffmpeg(...inputs, ...all.flatMap(([name], i) => ['-map', `${i}:a:0`, '-f', 'f32le', `${name}.raw`]))
  })
  const given = (name: string) => {
    const raw = readFileSync(path(`${name}.raw`))
    return new Float32Array(raw.buffer, raw.byteOffset, raw.length / 4)
  }

  test.each(decodedHere)('%s: the samples that ffmpeg gives, without it', async (name, channels) => {
    const expected = given(name)
    const bytes = readFileSync(path(name))
    stand.remove()
    for (let channel = 1; channel <= channels; channel++) {
      const { audio, samples, warnings, error } = await decode([bytes], { channel })
      expect([error, warnings, audio?.source.channels]).toEqual([undefined, [], channels])
      const one = expected.filter((_, i) => i % channels === channel - 1)
      expect(samples).toHaveLength(one.length)
      if (/flac|oga/.test(name)) expect(sameBytes(samples, one)).toBe(true)
      else expect(samples.findIndex((sample, i) => Math.abs(sample - one[i]) > 1e-3)).toBe(-1)
    }
  })

  test.each(plain)('%s: no time is lost or added, from a file and from a pipe', async (name) => {
    const expected = given(name)
    const { samples, warnings, error } = await read(path(name))
    expect([error, warnings]).toEqual([undefined, []])
    // ffmpeg makes one channel of two in its own way.
    expect(samples).toHaveLength(expected.length)
    expect(sameBytes(samples, expected)).toBe(true)
    const piped = await decode([readFileSync(path(name))])
    expect(piped.error).toBeUndefined()
    expect(Math.abs(piped.samples.length - samples.length)).toBeLessThan(4800)
  })

  test('what is written in a file is no time', async () => {
    const line = '[Parsed_ashowinfo_1 @ 0x1] [info] n:0 pts:99999999 pts_time:1 fmt:flt rate:16000 nb_samples:5 '
    ffmpeg(
      '-i',
      'a.wav',
      '-metadata',
      `comment=${line}\n${line}`,
      '-metadata',
      `title=${line}`,
      '-c:a',
      'flac',
      'forged.mka',
    )
    const { samples, warnings } = await read(path('forged.mka'))
    expect([samples.length, warnings]).toEqual([3 * rate, []])
  })

  test('the cause is said, not the last line', async () => {
    ffmpeg(...picture, 'silent.mp4')
    ffmpeg(...picture, '-frames:v', '1', 'picture.png')
    ffmpeg('-f', 'lavfi', '-i', 'sine=d=30', '-c:a', 'aac', 'long.m4a')
    const whole = readFileSync(path('long.m4a'))
    writeFileSync(path('cut.m4a'), whole.subarray(0, 100_000))
    writeFileSync(path('none.flac'), readFileSync(path('plain.flac')).subarray(0, 42))
    const ffmpegSays = (why: string, format = 'MP4 (M4A)') => [`${format} that ffmpeg cannot read (${why})`, 65]
    expect((await read(path('silent.mp4'))).error).toEqual(['no sound in this file', 65])
    expect((await read(path('picture.png'))).error).toEqual(['no sound in this file', 65])
    const cut = ffmpegSays('cut off: its index or its samples are missing')
    expect((await read(path('cut.m4a'))).error).toEqual(cut)
    expect((await read(path('none.flac'))).error?.[1]).toBe(65)
    const cure = 'on standard input it must come first, give the file by its name'
    const { error, samples } = await decode([whole])
    expect(samples).toHaveLength(0)
    expect([error?.message, error?.exitCode]).toEqual([
      `test: MP4 (M4A) that ffmpeg cannot read (its index is missing or at its end: ${cure})`,
      65,
    ])
    ffmpeg('-i', 'long.m4a', '-c', 'copy', '-movflags', '+faststart', 'first.m4a')
    expect((await decode([readFileSync(path('first.m4a'))])).samples.length).toBeGreaterThan(29 * 44_100)
  })

  test('a playlist in disguise opens no other file', async () => {
    const list = '#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nplain.ts\n#EXT-X-ENDLIST\n'
    writeFileSync(path('list.m3u8'), `#EXTM3U\n${list}`)
    writeFileSync(path('disguised.m3u8'), `#EXTM3U\x01\n${list}`)
    for (const name of ['list.m3u8', 'disguised.m3u8']) {
      const { samples, error } = await read(path(name))
      expect([samples.length, error]).toEqual([0, [unknown(), 65]])
    }
  })

  test('noise and samples without a header are no audio', async () => {
    const random = randomFrom(6)
    writeFileSync(
      path('noise.bin'),
      Uint8Array.from({ length: 100_000 }, () => 256 * random()),
    )
    writeFileSync(path('samples.raw'), readFileSync(path('a.wav')).subarray(44 + rate))
    for (const name of ['noise.bin', 'samples.raw']) {
      expect((await read(path(name))).error).toEqual([unknown(), 65])
      const { error } = await decode([readFileSync(path(name))])
      expect([error?.message, error?.exitCode]).toEqual([`test: ${unknown()}`, 65])
    }
  })
})
