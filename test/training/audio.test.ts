import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { Random } from '../../src/runtime/random.js'
import type { LogMelSpec } from '../../src/spec.js'
import { Vocabulary } from '../../src/tasks/language/vocabulary.js'
import { LogMel } from '../../src/tokens/log-mel.js'
import { noise } from '../../src/training/audio/augment.js'
import { AudioExamples } from '../../src/training/audio/examples.js'
import { loadRecordings } from '../../src/training/audio/load-recordings.js'
import { prepareAudio } from '../../src/training/audio/prepare.js'
import { fromStored, type Recordings, toStored } from '../../src/training/audio/recordings.js'
import { completeAudioSettings, soundFeatures, speechFeatures } from '../../src/training/audio/settings.js'
import { train } from '../../src/training/loop.js'
import { chunk, fmt, int16, riff } from '../input/audio/helpers.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'longwave-audio-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Hz of the vowels of a language of tones. */
const pitches: Record<string, number> = { a: 300, e: 800, o: 2000 }

/** A second and less of tones of 0.12 s with gaps of 0.06 s, and a little noise. */
function say(text: string, seed: number, rate = 8000): Float32Array {
  const random = new Random(seed)
  const silence = (seconds: number) => new Array<number>(Math.round(seconds * rate)).fill(0)
  const samples = silence(0.05)
  for (const letter of text.replaceAll(' ', '')) {
    for (let i = 0; i < 0.12 * rate; i++) samples.push(0.3 * Math.sin((2 * Math.PI * pitches[letter] * i) / rate))
    samples.push(...silence(0.06))
  }
  return Float32Array.from(samples, (x) => x + 0.001 * random.normal())
}

/** 16-bit PCM, mono, 8 kHz. */
const wav = (samples: Float32Array) =>
  riff([chunk('fmt ', fmt({ rate: 8000 })), chunk('data', int16(Array.from(samples, (x) => Math.round(32767 * x))))])

/** Half a second in which nothing is said. */
const hiss = (seed: number) => Float32Array.from(noise(4000, new Random(seed), 'white'), (x) => 0.1 * x)

/** A folder of recordings of random texts of 1 to 4 vowels, the first `hisses` of them of noise, and their table. */
function corpus(name: string, count: number, seed: number, hisses = 0): { data: string; labels: string } {
  const data = join(folder, name)
  mkdirSync(data)
  const random = new Random(seed)
  const lines = Array.from({ length: count }, (_, i) => {
    const text = Array.from({ length: i < hisses ? 0 : 1 + random.int(4) }, () => 'aeo'[random.int(3)]).join('')
    writeFileSync(join(data, `${i}.wav`), wav(text ? say(text, i) : hiss(i)))
    return `${i}.wav\t${text}\n`
  })
  writeFileSync(`${data}.tsv`, ['file\ttext\n', ...lines].join(''))
  return { data, labels: `${data}.tsv` }
}

const silently = { threads: 2, onRead: () => {}, note: () => {} }

const small = {
  log_mel: { sample_rate: 8000, n_fft: 256, window: 200, hop: 80, n_mels: 16, f_max: 3900, tail: 0.2 },
  layers: 1,
  d_model: 32,
  d_state: 4,
  stem: [{ window: 8, stride: 4, d_out: 32 }],
  batch: 16,
  shard: 4,
  lr: 0.01,
}

describe('recordings', () => {
  it('are read as the features that a model will be given, within the rounding of their storage', async () => {
    const { data } = corpus('rounding', 3, 1)
    const spec = { ...speechFeatures, ...small.log_mel }
    const recordings = await loadRecordings(
      data,
      [{ path: '1.wav', target: [7, 8] }],
      spec,
      [1],
      1,
      () => {},
      () => {},
    )
    const [{ stored, offsets }] = recordings.versions
    expect([...offsets]).toEqual([0, stored.length / 16])
    const { input, targets } = examples(recordings, spec).plain([0])
    expect([...targets[0]]).toEqual([7, 8])

    const samples = (await readFile(join(data, '1.wav'))).subarray(44)
    const logMel = new LogMel(spec)
    const read = Float32Array.from({ length: samples.length / 2 }, (_, i) => samples.readInt16LE(2 * i) / 32768)
    const features = [...logMel.push(read), ...logMel.end()]
    expect(input.length).toBe(features.length)
    for (const [i, x] of features.entries()) expect(Math.abs(input[i] - x)).toBeLessThan(1e-3)
  })

  it('keep energies to a hundredth of a decibel, and silence', () => {
    for (const energy of [1, 1e-9, 0.123, 1e12]) expect(fromStored(toStored(energy)) / energy).toBeCloseTo(1, 2)
    expect(fromStored(toStored(0))).toBe(0)
  })
})

function examples(recordings: Recordings, spec: LogMelSpec, change: Record<string, unknown> = {}) {
  const settings = completeAudioSettings({ ...small, ...change }, 'transcribe')
  return new AudioExamples(recordings, spec, settings)
}

describe('augmentation of recordings', () => {
  /** Two recordings of 10 and 20 frames, each of one energy in all bands, without a tail. */
  const spec = { ...soundFeatures, hop: 320, n_mels: 4, tail: 0 }
  const stored = Int16Array.from([...Array(40).fill(toStored(1e-2)), ...Array(80).fill(toStored(1e-4))])
  const recordings: Recordings = {
    kind: 'audio',
    versions: [{ stored, offsets: Float64Array.of(0, 10, 30) }],
    targets: Int32Array.of(1, 2, 3),
    targetOffsets: Int32Array.of(0, 1, 3),
  }
  const draw = (change: Record<string, unknown>, seed = 1, indexes = [0, 1]) =>
    examples(recordings, spec, change).augmented(indexes, new Random(seed))

  it('changes nothing when it is off', () => {
    expect(draw({})).toEqual(examples(recordings, spec).plain([0, 1]))
    expect([...draw({}).offsets]).toEqual([0, 10, 30])
  })

  it('joins recordings and their texts', () => {
    const rows = new Set<string>()
    for (let seed = 0; seed < 40; seed++) {
      const { offsets, targets } = draw({ join: 1, join_most: 3 }, seed, [0])
      expect(targets[0][0]).toBe(1)
      // As many frames as the texts say: text 1 has 10 of them, text 2 3 has 20.
      const ones = targets[0].filter((token) => token === 1).length
      expect(offsets[1]).toBe(10 * ones + 20 * ((targets[0].length - ones) / 2))
      rows.add(targets[0].join())
    }
    expect([...rows].sort()).toEqual(['1,1', '1,1,1', '1,1,2,3', '1,2,3', '1,2,3,1', '1,2,3,2,3'])
  })

  it('adds silence around, and noise at the ratio asked for', () => {
    const lengths = Array.from({ length: 40 }, (_, seed) => draw({ silence: 0.2 }, seed, [0]).offsets[1])
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(10)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(30)
    expect(new Set(lengths).size).toBeGreaterThan(10)
    const clean = draw({}, 1, [0]).input
    expect(difference(draw({ noise: 1, snr: [60, 60] }, 1, [0]).input, clean)).toBeLessThan(0.02)
    expect(difference(draw({ noise: 1, snr: [0, 0] }, 1, [0]).input, clean)).toBeGreaterThan(0.05)
  })

  it('lays noise over all, or over some time around the recording with silence beyond', () => {
    const kinds = new Set<string>()
    const noisy = examples(recordings, spec, { silence: 0.3, noise: 1, snr: [30, 30] })
    for (let seed = 0; seed < 40; seed++) {
      const { input, offsets } = noisy.augmented([0], new Random(seed))
      // A silent frame is at the bottom of the range; the recording is at 1.
      const frame = (t: number) => (input[4 * t] < -1.9 ? ' ' : input[4 * t] > 0.4 ? 'r' : 'n')
      kinds.add(Array.from({ length: offsets[1] }, (_, t) => frame(t)).join('').replace(/(.)\1+/g, '$1')) // biome-ignore format: one line
    }
    expect(kinds).toContain('nrn')
    expect(kinds).toContain(' nrn ')
    for (const kind of kinds) expect(kind).toMatch(/^ ?n?rn? ?$/)
  })

  it('is louder or softer without another look, and tilts', () => {
    const clean = draw({}, 1, [0]).input
    expect(difference(draw({ gain: 20 }, 3, [0]).input, clean)).toBeLessThan(1e-3)
    const tilted = draw({ tilt: 12 }, 3, [0]).input
    const steps = [1, 2, 3].map((m) => tilted[m] - tilted[m - 1])
    expect(Math.abs(steps[0])).toBeGreaterThan(0.01)
    for (const step of steps) expect(step).toBeCloseTo(steps[0], 4)
  })
})

const difference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i])))

describe('a vocabulary', () => {
  it('is of characters or words, and knows what it does not know', () => {
    const characters = Vocabulary.of(["Don't  go!", 'Ox'], 'characters')
    expect(characters.entries).toEqual(['', ' ', "'", 'd', 'g', 'n', 'o', 't', 'x'])
    expect([...characters.encode('GO', 'f')]).toEqual([4, 6])
    expect(() => characters.encode('zoo', 'f.tsv: a.wav')).toThrow(/^f\.tsv: a\.wav: 'z' does not occur/)
    const words = Vocabulary.of(['two six', 'oh two'], 'words')
    expect(words.entries).toEqual(['', 'oh ', 'six ', 'two '])
    expect([...words.encode('two, two.', 'f')]).toEqual([3, 3])
  })
})

describe('the stem of a model of audio', () => {
  const widths = (given: Record<string, unknown>, task: 'transcribe' | 'classify') =>
    completeAudioSettings(given, task).stem.map(({ window, stride, d_out }) => [window, stride, d_out])

  it('is that of the bundled models, as wide as the model, unless another is given', () => {
    expect(widths({}, 'transcribe')).toEqual([[8, 2, 128], [4, 2, 128]]) // biome-ignore format: one line
    expect(widths({ d_model: 64 }, 'transcribe')).toEqual([[8, 2, 64], [4, 2, 64]]) // biome-ignore format: one line
    expect(widths({ d_model: 64 }, 'classify')).toEqual([[4, 2, 64], [4, 2, 64]]) // biome-ignore format: one line
    expect(widths({ d_model: 64, stem: [{ window: 3, stride: 1, d_out: 64 }] }, 'classify')).toEqual([[3, 1, 64]])
    expect(widths({ d_model: 40, stem: [] }, 'transcribe')).toEqual([])
    expect(widths({ d_model: 16, stem: [], log_mel: { n_mels: 16 } }, 'classify')).toEqual([])
  })

  it('that does not fit is a usage error', () => {
    for (const [given, message] of [
      [{ stem: [] }, 'without a stem d_model must be 40 (log_mel.n_mels), not 128'],
      [
        { d_model: 40, stem: [], log_mel: { n_mels: 16 } },
        'without a stem d_model must be 16 (log_mel.n_mels), not 40',
      ],
      [{ stem: [{ window: 4, stride: 2, d_out: 64 }] }, 'has d_out 64, expected d_model (128)'],
    ] as const)
      expect(() => completeAudioSettings(given, 'transcribe')).toThrow(
        expect.objectContaining({ exitCode: 2, message: expect.stringContaining(message) }),
      )
  })

  it('lets the documented commands run with default settings', async () => {
    const files = { train: corpus('defaults', 4, 7), valid: null }
    for (const [task, more] of [
      ['transcribe', {}],
      ['classify', { bidirectional: true, tied: false, pool: 'center' }],
    ] as const) {
      const given = { layers: 1, epochs: 1, ...more }
      const prepared = await prepareAudio(files, given, null, 'none', { task, ...silently })
      const out = join(folder, `default ${task}`)
      expect(await train({ ...prepared, device: 'cpu', card: {}, threads: 1, out })).toMatchObject({ finished: true })
      expect((await openCheckpoint(out)).spec.d_model).toBe(128)
    }
  })
})

describe('training on audio', () => {
  it('learns to transcribe tones and nothing in noise, to the same bytes with one thread and two, and the model opens', async () => {
    const files = { train: corpus('train', 104, 2, 8), valid: corpus('valid', 28, 3, 4) }
    const given = { ...small, epochs: 16, silence: 0.2, noise: 0.5, snr: [20, 40], speeds: [1, 1.1] }
    const prepared = await prepareAudio(files, given, null, 'none', { task: 'transcribe', ...silently })
    expect(prepared.spec.head).toEqual({ kind: 'ctc', vocabulary: ['', 'a', 'e', 'o'] })
    const run = { ...prepared, device: 'cpu' as const, card: {} }
    const { best } = await train({ ...run, out: join(folder, 'tones'), threads: 2 })
    expect(-best!.score).toBeLessThan(0.05) // character error rate
    const { spec } = await openCheckpoint(join(folder, 'tones'))
    expect(spec).toEqual(JSON.parse(JSON.stringify(prepared.spec)))
    const brief = { ...run, settings: { ...prepared.settings, epochs: 1 } }
    const weights: Buffer[] = []
    for (const threads of [1, 2]) {
      await train({ ...brief, out: join(folder, `brief-${threads}`), threads })
      weights.push(await readFile(join(folder, `brief-${threads}`, 'model.safetensors')))
    }
    expect(weights[0].equals(weights[1])).toBe(true)

    // Another run starts with the head, too, where that writes all of the texts.
    const from = { name: 'tones', ...(await openCheckpoint(join(folder, 'tones'))) }
    const { data } = files.train
    const head = async (table: string, units: string) => {
      const labels = join(folder, 'some.tsv')
      writeFileSync(labels, table)
      const preparation = { task: 'transcribe', ...silently } as const
      const { spec, weights } = await prepareAudio(
        { train: { data, labels }, valid: null },
        { units },
        from,
        'none',
        preparation,
      )
      return { ...spec.head, kept: weights.get('head.weight') === from.weights.get('head.weight') }
    }
    const { vocabulary } = spec.head as { vocabulary: string[] }
    expect(await head('8.wav\tae\n9.wav\t\n', 'characters')).toEqual({ kind: 'ctc', vocabulary, kept: true })
    expect(await head('8.wav\tai\n', 'characters')).toEqual({ kind: 'ctc', vocabulary: ['', 'a', 'i'], kept: false })
    expect(await head('8.wav\ta e\n', 'words')).toEqual({ kind: 'ctc', vocabulary: ['', 'a ', 'e '], kept: false })
  })

  it('learns classes of sounds, and starts from another audio model', async () => {
    const { data, labels } = corpus('classes', 48, 4)
    const table = (await readFile(labels, 'utf8')).replace(
      /\t(a?)[aeo]*$/gm,
      (_, a: string) => `\t${a ? 'low' : 'high'}`,
    )
    writeFileSync(labels, table)
    const files = { train: { data, labels }, valid: { data, labels } }
    const given = { ...small, epochs: 12, pool: 'max', metric: 'accuracy' }
    const prepared = await prepareAudio(files, given, null, 'none', { task: 'classify', ...silently })
    const run = { ...prepared, device: 'cpu' as const, card: {}, threads: 2, out: join(folder, 'pitch') }
    expect((await train(run)).best!.score).toBeGreaterThan(0.9)
    const from = { name: 'pitch', ...(await openCheckpoint(run.out)) }
    const texts = corpus('tuned', 4, 5)
    const tuned = await prepareAudio({ train: texts, valid: null }, {}, from, 'body', {
      task: 'transcribe',
      ...silently,
    })
    expect(tuned.trainable).toEqual(['head.weight', 'head.bias'])
    expect(tuned.spec.blocks).toEqual(from.spec.blocks)
  })

  it('says what is wrong with settings, tables and recordings', async () => {
    const { data, labels } = corpus('wrong', 2, 6)
    const attempt = (given: Record<string, unknown>, task: 'transcribe' | 'classify', table = labels) =>
      prepareAudio({ train: { data, labels: table }, valid: null }, given, null, 'none', { task, ...silently })
    await expect(attempt({ crop: 1 }, 'transcribe')).rejects.toMatchObject({ exitCode: 2 })
    await expect(attempt({ join: 0.5 }, 'classify')).rejects.toMatchObject({ exitCode: 2 })
    for (const log_mel of [{ nmels: 40 }, { level: { memory: 1, lookahead: 1, range: 60 } }])
      await expect(attempt({ log_mel }, 'transcribe')).rejects.toMatchObject({ exitCode: 2 })
    await expect(attempt({ log_mel: { f_max: 9000 } }, 'transcribe')).rejects.toMatchObject({ exitCode: 2 })
    await expect(attempt({ strand: 'symmetric' }, 'classify')).rejects.toThrow(/training setting strand is not known/)
    const silent = join(folder, 'silent.tsv')
    writeFileSync(silent, '0.wav\t\n1.wav\t\n')
    await expect(attempt(small, 'transcribe', silent)).rejects.toThrow(/silent.tsv: no line with a text/)
    await expect(attempt(small, 'classify', silent)).rejects.toThrow(/line 1: expected id<TAB>label/)
    const missing = join(folder, 'missing.tsv')
    writeFileSync(missing, 'nowhere.wav\ta\n')
    await expect(attempt(small, 'transcribe', missing)).rejects.toMatchObject({ exitCode: 66 })
    const notes: string[] = []
    const tight = join(folder, 'tight.tsv')
    writeFileSync(tight, `0.wav\t${'ao'.repeat(60)}\n`)
    await prepareAudio({ train: { data, labels: tight }, valid: null }, small, null, 'none', {
      task: 'transcribe',
      ...silently,
      note: (line) => notes.push(line),
    })
    expect(notes).toEqual(['1 recordings are too short for their text and do not count, the first: 0.wav'])
  })
})
