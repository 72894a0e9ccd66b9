import { expect, test } from 'vitest'
import wavefile from 'wavefile'
import { randomFrom } from '../dna/helpers.js'
import { decode, sameBytes, specimen } from './helpers.js'

const { WaveFile } = wavefile

/** Interleaved samples as wavefile reads them, whole numbers for PCM. */
const samplesOf = (wav: InstanceType<typeof WaveFile>) => wav.getSamples(true, Float64Array) as unknown as Float64Array

/** wavefile's numbers to full scale at 1. */
function scale(value: number, bitDepth: string): number {
  if (bitDepth === '8') return (value - 128) / 128
  return bitDepth === '32f' || bitDepth === '64' ? value : value / 2 ** (Number(bitDepth) - 1)
}

const depths = ['8', '16', '24', '32', '32f', '64']

test.each(depths)('agrees sample for sample with wavefile: what it writes, %s bits', async (depth) => {
  const random = randomFrom(Number.parseInt(depth, 10))
  const whole = { 8: 256, 16: 65536, 24: 2 ** 24, 32: 2 ** 32 }[depth]
  const draw = () => (whole ? Math.floor(random() * whole) - (depth === '8' ? 0 : whole / 2) : 2 * random() - 1)
  for (const [container, channels] of [
    ['RIFF', 1],
    ['RIFF', 2],
    ['RIFX', 2],
    ['RF64', 3],
  ] as const) {
    const data = Array.from({ length: channels }, () => Array.from({ length: 1000 }, draw))
    const wav = new WaveFile()
    wav.fromScratch(channels, 22050, depth, channels === 1 ? data[0] : data, { container })
    for (let channel = 0; channel < channels; channel++) {
      const { samples, error, warnings } = await decode([wav.toBuffer()], { channel: channel + 1 })
      expect([error, ...warnings]).toEqual([undefined])
      expect(
        sameBytes(
          samples,
          Float32Array.from(data[channel], (value) => scale(value, depth)),
        ),
      ).toBe(true)
    }
  }
})

test.each([
  'goaudio_bass.wav',
  'goaudio_8bit.wav',
  'goaudio_kick-16b441k.wav',
  'wavefile_RIFX-16bit-mono.wav',
  'wavefile_RF64-16bit-8kHz-stereo-reaper.wav',
  'wavefile_RF64-64-bit-8kHz--mono-bext.wav',
  'wavefile_32bitIEEE-16kHz-bext-mono.wav',
  'scipy_test-8000Hz-le-3ch-5S-24bit.wav',
  'derived_jfk_16k_s32.wav',
])('agrees sample for sample with wavefile: %s', async (name) => {
  const bytes = specimen(name)
  const wav = new WaveFile(bytes)
  const interleaved = samplesOf(wav)
  const first = await decode([bytes], { channel: 1 })
  const { channels } = first.audio!.source
  for (let channel = 1; channel <= channels; channel++) {
    const { samples } = channel === 1 ? first : await decode([bytes], { channel })
    const expected = samples.map((_, i) => scale(interleaved[i * channels + channel - 1], wav.bitDepth))
    expect(interleaved).toHaveLength(samples.length * channels)
    expect(sameBytes(samples, expected)).toBe(true)
  }
})

test('agrees with wavefile on A-law and mu-law', async () => {
  for (const [name, unpack] of [
    ['derived_jfk_8k_alaw.wav', 'fromALaw'],
    ['derived_jfk_8k_mulaw.wav', 'fromMuLaw'],
  ] as const) {
    const wav = new WaveFile(specimen(name))
    wav[unpack]()
    const { samples } = await decode([specimen(name)])
    expect(
      sameBytes(
        samples,
        Float32Array.from(samplesOf(wav), (value) => value / 32768),
      ),
    ).toBe(true)
  }
})

test('agrees with wavefile on IMA ADPCM but for what wavefile gets wrong', async () => {
  const bytes = specimen('wavefile_4bit-imaadpcm-8kHz-noBext-mono-encoded.wav')
  const wav = new WaveFile(bytes)
  wav.fromIMAADPCM()
  const theirs = samplesOf(wav)
  const { samples } = await decode([bytes])
  const [frames, blocks] = [505, 94]
  expect(samples).toHaveLength(frames * blocks)
  // It gives the first sample of every block twice and leaves out the last block.
  for (let block = 0; block < blocks - 1; block++) {
    const part = theirs.subarray(block * (frames + 1) + 1, (block + 1) * (frames + 1))
    const expected = Float32Array.from(part, (value) => value / 32768)
    expect(sameBytes(samples.subarray(block * frames, (block + 1) * frames), expected)).toBe(true)
  }
})
