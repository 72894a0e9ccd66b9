import { describe, expect, test } from 'vitest'
import { randomFrom } from '../dna/helpers.js'
import { chunk, cutUp, decode, fmt, int16, riff, rows, sameBytes, specimen } from './helpers.js'

const values = [1000, -2000, 3000, -4000, 5000, -6000, 7000, -8000]
const data = int16(values)
const mono = (numbers: number[]) => Float32Array.from(numbers, (value) => value / 32768)
const file = (...rest: Uint8Array[]) => riff([chunk('fmt ', fmt({})), ...rest])

describe('sizes that are not known yet', () => {
  const head = riff([chunk('fmt ', fmt({}))], 'RIFF', 0xffffffff)
  test.each([
    ['ffmpeg', 0xffffffff],
    ['sox', 0x7ffff000],
    ['sox, 24 bits', 0x7fffefff],
    ['arecord', 0x80000000],
    ['a recorder that died', 0],
  ])('%s: read to the end of the stream', async (_, size) => {
    const { audio, samples, warnings } = await decode([head, chunk('data', data, size)])
    expect(samples).toEqual(mono(values))
    expect([audio?.length, warnings]).toEqual([undefined, []])
  })

  test('a data chunk that is empty, with another behind it, is empty', async () => {
    const { samples, warnings } = await decode([file(chunk('data', Buffer.alloc(0)), chunk('LIST', Buffer.alloc(30)))])
    expect([samples.length, warnings]).toEqual([0, ['test: no samples']])
  })
})

describe('64-bit sizes', () => {
  const ds64 = (bytes: bigint) => {
    const body = Buffer.alloc(28)
    body.writeBigUInt64LE(bytes, 8)
    return chunk('ds64', body)
  }
  test.each(['RF64', 'BW64'])('%s takes them from its ds64 chunk', async (id) => {
    const parts = [ds64(BigInt(data.length)), chunk('fmt ', fmt({})), chunk('data', data, 0xffffffff)]
    const { audio, samples } = await decode([riff([...parts, chunk('LIST', Buffer.alloc(8))], id, 0xffffffff)])
    expect(samples).toEqual(mono(values))
    expect(audio?.length).toBe(values.length)
  })

  test('an offset beyond 2^31 bytes, the end cut off', async () => {
    const zeros = new Uint8Array(1 << 20)
    const blocks = function* () {
      yield riff([ds64(2n ** 33n), chunk('fmt ', fmt({ bits: 8 })), chunk('data', Buffer.alloc(0), 0xffffffff)], 'RF64')
      for (let i = 0; i < 2300; i++) yield zeros
      yield Uint8Array.of(128, 192, 64)
    }
    const offset = (2300 * 2 ** 20) / 16000
    const { audio, samples, warnings } = await decode(blocks(), { offset })
    expect(samples).toEqual(Float32Array.of(0, 0.5, -0.5))
    expect(audio?.length).toBe(2 ** 33 - 2300 * 2 ** 20)
    expect(warnings).toEqual(['test: cut off: 2411724803 of 8589934592 samples read (150732.800 s of 536870.912 s)'])
  })
})

describe('chunks', () => {
  const odd = Buffer.from('INFOx')
  test('an odd one may lack its padding', async () => {
    const padded = file(chunk('LIST', odd), chunk('data', data))
    const unpadded = file(chunk('LIST', odd).subarray(0, 13), chunk('data', data))
    const oddlyPadded = file(chunk('LIST', odd).subarray(0, 13), Buffer.from('x'), chunk('data', data))
    expect(unpadded).toHaveLength(padded.length - 1)
    for (const bytes of [padded, unpadded, oddlyPadded]) expect((await decode([bytes])).samples).toEqual(mono(values))
  })

  test('what follows the samples is left alone', async () => {
    const { samples, warnings } = await decode([file(chunk('data', data), Buffer.from('not a chunk at all'))])
    expect([samples, warnings]).toEqual([mono(values), []])
  })

  test.each([
    [
      'a size that leads nowhere',
      file(Buffer.from([1, 2, 3, 4, 0, 0, 0, 0])),
      "expected a chunk of WAV at byte 36, not '????'",
    ],
    [
      'data before fmt',
      riff([chunk('data', data), chunk('fmt ', fmt({}))]),
      "samples in front of their format (no 'fmt ' chunk before 'data')",
    ],
    ['a short fmt', riff([chunk('fmt ', Buffer.alloc(14))]), "a 'fmt ' chunk of 14 bytes, expected at least 16"],
    ['another RIFF', Buffer.from('RIFF....WEBPVP8 '), "a RIFF file of type 'WEBP', expected 'WAVE'"],
    ['no channels', riff([chunk('fmt ', fmt({ channels: 0 }))]), '0 channels, expected at least 1'],
    ['no rate', riff([chunk('fmt ', fmt({ rate: 0 }))]), '0 samples a second, expected 1 to 1000000'],
    ['65 bits', riff([chunk('fmt ', fmt({ bits: 65 }))]), 'pcm samples of 65 bits, expected 1 to 64'],
    ['16-bit float', riff([chunk('fmt ', fmt({ tag: 3 }))]), 'float samples of 16 bits, expected 32 or 64'],
  ])('%s is an error', async (_, bytes, message) => {
    const { error } = await decode([bytes])
    expect([error?.message, error?.exitCode]).toEqual([`test: ${message}`, 65])
  })

  test.each([
    [0x0055, 'MP3 inside WAV (codec 0x0055)'],
    [0x0031, 'GSM 6.10 inside WAV (codec 0x0031)'],
    [0x4321, 'codec 0x4321 inside WAV'],
  ])('codec %i is named, with what to do about it', async (tag, name) => {
    const { error } = await decode([riff([chunk('fmt ', fmt({ tag })), chunk('data', data)])])
    const cure = 'convert it: ffmpeg -i FILE -c:a pcm_s16le NEW.wav'
    expect(error?.message).toBe(`test: ${name}, expected PCM, float, A-law, mu-law, IMA or MS ADPCM; ${cure}`)
    expect(error?.exitCode).toBe(65)
  })

  test('the sub-format of WAVE_FORMAT_EXTENSIBLE counts, and an unknown one is an error', async () => {
    const guid = (tag: number, tail: string) => {
      const body = Buffer.alloc(40)
      fmt({ tag: 0xfffe, bits: 32 }).copy(body)
      body.writeUInt16LE(22, 16)
      body.writeUInt32LE(tag, 24)
      Buffer.from(tail, 'hex').copy(body, 28)
      return body
    }
    const floats = Buffer.alloc(8)
    floats.writeFloatLE(0.25, 0)
    floats.writeFloatLE(-0.5, 4)
    const microsoft = '00001000800000aa00389b71'
    const read = (body: Buffer) => decode([riff([chunk('fmt ', body), chunk('data', floats)])])
    for (const tail of [microsoft, '2107d3118644c8c1ca000000']) {
      expect((await read(guid(3, tail))).samples).toEqual(Float32Array.of(0.25, -0.5))
    }
    expect((await read(guid(1, microsoft))).samples[0]).toBe(0x3e800000 / 2 ** 31)
    expect((await read(guid(3, '00'.repeat(12)))).error?.message).toMatch(
      /: unknown sub-format 00000003-0000-0000-0{16}$/,
    )
    expect((await read(guid(0x161, microsoft))).error?.message).toMatch(/Windows Media Audio/)
  })
})

describe('what is read', () => {
  const stereo = riff([chunk('fmt ', fmt({ channels: 2, rate: 4 })), chunk('data', data)])
  test('the mean of the channels, or one of them', async () => {
    expect((await decode([stereo])).samples).toEqual(mono([-500, -500, -500, -500]))
    expect((await decode([stereo], { channel: 1 })).samples).toEqual(mono([1000, 3000, 5000, 7000]))
    expect((await decode([stereo], { channel: 2 })).samples).toEqual(mono([-2000, -4000, -6000, -8000]))
    const { error } = await decode([stereo], { channel: 3 })
    expect([error?.message, error?.exitCode]).toEqual(['test: no channel 3, expected 1 to 2', 65])
  })

  test('offset and duration in seconds', async () => {
    const part = await decode([stereo], { channel: 1, offset: 0.25, duration: 0.5 })
    expect([part.samples, part.audio?.length, part.warnings]).toEqual([mono([3000, 5000]), 2, []])
    const tail = await decode([stereo], { channel: 1, offset: 0.75, duration: 9 })
    expect([tail.samples, tail.audio?.length, tail.warnings]).toEqual([mono([7000]), 1, []])
    const beyond = await decode([stereo], { offset: 2 })
    expect([beyond.samples.length, beyond.audio?.length]).toEqual([0, 0])
    expect(beyond.warnings).toEqual(['test: ends after 1.000 s, nothing at the offset of 2.000 s'])
  })

  test('offset and duration inside blocks of ADPCM', async () => {
    for (const name of ['derived_jfk_msadpcm.wav', 'wavefile_4bit-imaadpcm-8kHz-noBext-mono-encoded.wav']) {
      const { samples, audio } = await decode([specimen(name)])
      const { rate } = audio!
      const part = await decode(cutUp(specimen(name), randomFrom(1)), { offset: 1234 / rate, duration: 4321 / rate })
      expect(sameBytes(part.samples, samples.subarray(1234, 1234 + 4321))).toBe(true)
    }
  })

  test('both channels of stereo ADPCM', async () => {
    // A mono block and one of silence, four bytes in turn, are a stereo block.
    const ima = specimen('wavefile_4bit-imaadpcm-8kHz-noBext-mono-encoded.wav').subarray(60, 60 + 256)
    const words = Array.from({ length: 64 }, (_, i) => ima.subarray(4 * i, 4 * i + 4))
    const twice = Buffer.concat(words.flatMap((word, i) => [word, i === 0 ? Buffer.of(0, 0, 0, 0) : Buffer.alloc(4)]))
    const adpcm = (channels: number, block: Buffer) =>
      riff([chunk('fmt ', fmt({ tag: 0x11, channels, bits: 4, block: block.length })), chunk('data', block)])
    const alone = await decode([adpcm(1, ima)])
    const left = await decode([adpcm(2, twice)], { channel: 1 })
    const right = await decode([adpcm(2, twice)], { channel: 2 })
    expect(alone.samples).toHaveLength(505)
    expect(sameBytes(left.samples, alone.samples)).toBe(true)
    expect(right.samples.every((sample) => sample === 0)).toBe(true)
    expect(right.samples).toHaveLength(505)

    const ms = specimen('derived_jfk_msadpcm.wav').subarray(90 + 256 * 20, 90 + 256 * 21)
    const nibbles = [...ms.subarray(7)].flatMap((byte) => [byte >> 4, byte & 15])
    const heads = [ms.subarray(0, 1), ms.subarray(1, 3), ms.subarray(3, 5), ms.subarray(5, 7)]
    const both = Buffer.concat([
      ...heads.flatMap((part) => [part, part]),
      Buffer.from(nibbles.map((code) => code * 17)),
    ])
    const msadpcm = (channels: number, block: Buffer) =>
      riff([chunk('fmt ', fmt({ tag: 2, channels, bits: 4, block: block.length })), chunk('data', block)])
    const one = await decode([msadpcm(1, ms)])
    expect(one.samples.some((sample) => Math.abs(sample) > 0.01)).toBe(true)
    for (const channel of [1, 2]) {
      expect(sameBytes((await decode([msadpcm(2, both)], { channel })).samples, one.samples)).toBe(true)
    }
  })

  test('samples that are no finite numbers become 0, with a warning', async () => {
    const floats = Buffer.alloc(16)
    for (const [i, value] of [0.5, Number.NaN, Number.NEGATIVE_INFINITY, 1.5].entries())
      floats.writeFloatLE(value, 4 * i)
    const { samples, warnings } = await decode([
      riff([chunk('fmt ', fmt({ tag: 3, bits: 32 })), chunk('data', floats)]),
    ])
    expect(samples).toEqual(Float32Array.of(0.5, 0, 0, 1.5))
    const cure = 'if all is as loud: ffmpeg -i FILE -af volume=1/32768 NEW.wav'
    expect(warnings).toEqual([
      `test: 2 samples are no finite number or beyond +40 dB, the first at 0.000 s: read as 0; ${cure}`,
    ])
  })

  test('bytes at the end that are no whole sample are left out, with a warning', async () => {
    const { samples, warnings } = await decode([file(chunk('data', data.subarray(0, 5)))])
    expect([samples, warnings]).toEqual([mono([1000, -2000]), ['test: the last 1 bytes are not a whole sample']])
  })

  test('at another rate', async () => {
    const { audio, samples } = await decode([specimen('derived_jfk_8k_u8.wav')], { rate: 16000, duration: 1 })
    expect([audio?.rate, audio?.source.rate, audio?.length, samples.length]).toEqual([16000, 8000, 16000, 16000])
  })
})

test('the same samples however the bytes are cut', async () => {
  const random = randomFrom(7)
  for (const { file: name, exit } of rows) {
    const bytes = specimen(name)
    if (exit !== '0' || bytes.length > 60_000) continue
    const whole = await decode([bytes])
    const cut = await decode(cutUp(bytes, random))
    const single = bytes.length < 2000 ? await decode(cutUp(bytes, () => 0)) : cut
    for (const other of [cut, single]) {
      expect(sameBytes(other.samples, whole.samples), name).toBe(true)
      expect([other.warnings, other.audio?.length, other.error?.message]).toEqual([
        whole.warnings,
        whole.audio?.length,
        whole.error?.message,
      ])
    }
  }
})

test('damaged files give samples or an error of one line, never anything else', async () => {
  const random = randomFrom(11)
  const path = process.env.PATH
  process.env.PATH = '' // a damaged first byte shall not start ffmpeg
  try {
    for (const { file: name } of rows) {
      const bytes = specimen(name).subarray(0, 3000)
      for (let round = 0; round < 8 && bytes.length > 0; round++) {
        const damaged = Buffer.from(
          bytes.subarray(0, random() < 0.3 ? Math.ceil(random() * bytes.length) : bytes.length),
        )
        const places = Math.ceil(random() * 4)
        for (let i = 0; i < places; i++) {
          // Mostly in the header, where it hurts.
          damaged[Math.floor(random() * Math.min(damaged.length, random() < 0.8 ? 80 : damaged.length))] =
            random() * 256
        }
        const { samples, error, warnings } = await decode([damaged])
        expect(samples.every(Number.isFinite)).toBe(true)
        for (const line of error ? [error.message, ...warnings] : warnings) expect(line).toMatch(/^test: [^\n]+$/)
        if (error) expect([65, 69]).toContain(error.exitCode)
      }
    }
  } finally {
    process.env.PATH = path
  }
})
