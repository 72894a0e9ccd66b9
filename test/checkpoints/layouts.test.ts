import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { widened } from '../../src/backends/weight.js'
import { type Checkpoint, openCheckpoint } from '../../src/checkpoints/open.js'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { writeSafetensors } from '../../src/checkpoints/safetensors-write.js'
import type { MambaSpec } from '../../src/layers/mixers/mamba.js'
import type { NormSpec } from '../../src/spec.js'
import { floatTensors, goldenModel, newFolder, noise, type RawTensors, writeModel } from './folders.js'
import { convRows } from './official.js'
import { flat, linear, type Matrix, mamba, maxDifference, normed, plainForward, plus, type Rows } from './plain.js'

const ids = Int32Array.from([3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 3])

async function fails(folder: string): Promise<string> {
  const error = await openCheckpoint(folder).catch((thrown) => thrown)
  expect(error).toMatchObject({ name: 'UserError', exitCode: 69 })
  expect(error.message).not.toContain('\n')
  return error.message
}

describe('how weights are stored does not matter', () => {
  test('shards, with Python literals in the config', async () => {
    const { config, raw } = await goldenModel('hf-mamba')
    const whole = await openCheckpoint('test/golden/hf-mamba')
    const folder = await shards(config, raw)
    await writeFile(
      join(folder, 'config.json'),
      JSON.stringify(config).replace(
        '{',
        '{"time_step_limit": [0.0, Infinity], "low": [-Infinity, NaN], "note": "Infinity",',
      ),
    )
    const sharded = await openCheckpoint(folder)
    expect(sharded.weights).toEqual(whole.weights)
    expect(sharded.config).toMatchObject({
      time_step_limit: [0, Number.POSITIVE_INFINITY],
      low: [Number.NEGATIVE_INFINITY, 'NaN'],
      note: 'Infinity',
    })
  })

  test('bfloat16 is read as the rounded float32', async () => {
    const { config, raw } = await goldenModel('hf-mamba')
    const rounded: RawTensors = new Map()
    for (const [name, { shape, values }] of raw) {
      const bits = new Uint32Array(values.buffer.slice(0)).map((word) => word & 0xffff0000)
      rounded.set(name, { shape, values: new Float32Array(bits.buffer) })
    }
    const folder = await writeModel(config, rounded)
    const want = await openCheckpoint(folder)
    const numbers = ({ weights }: Checkpoint) =>
      new Map([...weights].map(([name, weight]) => [name, [weight.rows, weight.cols, ...widened(weight)]]))
    const stored = floatTensors(rounded).map(({ data, ...rest }) => {
      const words = new Uint32Array((data as Float32Array).buffer)
      return { ...rest, dtype: 'BF16' as const, data: Uint16Array.from(words, (word) => word >>> 16) }
    })
    await writeSafetensors(join(folder, 'model.safetensors'), stored)
    const got = await openCheckpoint(folder)
    expect(new Set([...got.weights.values()].map(({ dtype }) => dtype))).toEqual(new Set(['bf16']))
    expect(numbers(got)).toEqual(numbers(want))
  })

  test('a tied head that is present; the singular name of the embedding; wrong legacy sizes in the config', async () => {
    const { config, raw } = await goldenModel('hf-mamba')
    const embedding = raw.get('backbone.embeddings.weight')!
    raw.delete('backbone.embeddings.weight')
    raw.set('backbone.embedding.weight', embedding).set('lm_head.weight', embedding)
    const wrong = { n_layer: 48, d_inner: 160, hidden_size: 7, intermediate_size: 9, state_size: 1, time_step_rank: 99 }
    const got = await openCheckpoint(await writeModel({ ...config, ...wrong }, raw))
    const want = await openCheckpoint('test/golden/hf-mamba')
    expect(got.spec).toEqual(want.spec)
    expect(got.weights).toEqual(want.weights)
  })

  test('our own layout gives back spec, weights and further keys', async () => {
    for (const name of ['ssm-mamba1', 'caduceus-ps', 'hf-mamba2', 'caduceus-m2-ps']) {
      const { spec, weights } = await openCheckpoint(`test/golden/${name}`)
      const folder = await newFolder()
      await saveCheckpoint(folder, spec, weights, { name, licence: 'MIT' })
      const again = await openCheckpoint(folder)
      expect(again.spec).toEqual(spec)
      expect(new Map(again.weights)).toEqual(new Map([...weights].sort(byKeysOf(again.weights))))
      expect(again.config).toMatchObject({ name, licence: 'MIT', format: 'longwave' })
      expect(again.layout).toBe('longwave')
    }
  })
})

test('an untied head is used', async () => {
  const { config, raw } = await goldenModel('hf-mamba')
  const head: Matrix = { rows: 64, cols: 32, data: noise(64 * 32, 3) }
  raw.set('lm_head.weight', { shape: [64, 32], values: head.data })
  const { spec, weights } = await openCheckpoint(await writeModel({ ...config, tie_word_embeddings: false }, raw))
  const tied = await openCheckpoint('test/golden/hf-mamba')
  const { last } = plainForward(tied.spec, tied.weights, ids)
  expect(flat(plainForward(spec, weights, ids).logits)).toEqual(flat(linear(last, head)))
})

test('biases of the projections change the output as in the official mixer', async () => {
  const { config, raw } = await goldenModel('hf-mamba')
  for (let i = 0; i < 3; i++) {
    raw.set(`backbone.layers.${i}.mixer.in_proj.bias`, { shape: [128], values: noise(128, i) })
    raw.set(`backbone.layers.${i}.mixer.out_proj.bias`, { shape: [32], values: noise(32, 9 + i) })
  }
  const { spec, weights } = await openCheckpoint(await writeModel({ ...config, use_bias: true }, raw))
  const want = official(raw, 'backbone.embeddings.weight', 3, { kind: 'rms', eps: 1e-5 }, mamba8)
  expect(maxDifference(flat(plainForward(spec, weights, ids).logits), flat(want))).toBeLessThan(1e-9)
})

test('state-spaces with LayerNorm, an MLP whose width is rounded up, and an untied head', async () => {
  const { config, raw } = await goldenModel('ssm-mamba1')
  raw.set('lm_head.weight', { shape: [64, 32], values: noise(64 * 32, 77) })
  for (const name of [...raw.keys()]) {
    if (/norm(_f)?\.weight$/.test(name))
      raw.set(name.replace('weight', 'bias'), { shape: [32], values: noise(32, name.length) })
  }
  for (let i = 0; i < 3; i++) {
    const layer = `backbone.layers.${i}.`
    raw.set(`${layer}norm2.weight`, { shape: [32], values: noise(32, 60 + i) })
    raw.set(`${layer}norm2.bias`, { shape: [32], values: noise(32, 70 + i) })
    raw.set(`${layer}mlp.fc1.weight`, { shape: [256, 32], values: noise(256 * 32, 80 + i) })
    raw.set(`${layer}mlp.fc2.weight`, { shape: [32, 128], values: noise(32 * 128, 90 + i, 0.1) })
  }
  const changed = { ...config, rms_norm: false, d_intermediate: 100, tie_embeddings: false }
  const { spec, weights } = await openCheckpoint(await writeModel(changed, raw))
  expect(spec.blocks[0].mlp).toEqual({ d_hidden: 128 })
  const want = official(raw, 'backbone.embedding.weight', 3, { kind: 'layer', eps: 1e-5 }, { ...mamba8, d_state: 16 })
  expect(maxDifference(flat(plainForward(spec, weights, ids).logits), flat(want))).toBeLessThan(1e-9)
})

describe('Mamba-2', () => {
  const mixerOf = async (golden: string, changes: Record<string, unknown>, edit = (_: RawTensors) => {}) => {
    const { config, raw } = await goldenModel(golden)
    edit(raw)
    return (await openCheckpoint(await writeModel({ ...config, ...changes }, raw))).spec.blocks[1].mixer
  }

  test('has its sizes from its tensors, and its groups and norm from the config', async () => {
    const sizes = { kind: 'mamba2', d_inner: 64, headdim: 8, d_conv: 4 }
    const wrong = { head_dim: 99, num_heads: 3, state_size: 7, expand: 16 }
    const whole = { eps: 1e-5, groups: 1, before_gate: false }
    const official = { ...sizes, n_groups: 2, d_state: 8, norm: whole }
    expect(await mixerOf('hf-mamba2', wrong)).toEqual(official)
    // transformers norms all channels together, state-spaces those of each group.
    const cfg = { layer: 'Mamba2', ngroups: 4, norm_before_gate: true }
    const grouped = { ...sizes, n_groups: 4, d_state: 4, norm: { eps: 1e-5, groups: 4, before_gate: true } }
    expect(await mixerOf('ssm-mamba2', { ssm_cfg: cfg })).toEqual(grouped)
    const bare = await mixerOf('hf-mamba2', {}, (raw) => {
      for (const i of [0, 1]) raw.delete(`backbone.layers.${i}.mixer.norm.weight`)
    })
    expect(bare).toEqual({ ...official, norm: undefined })
  })

  test('of the third kind has its sizes from its tensors, whatever the config calls it', async () => {
    const sizes = { kind: 'mamba3', d_inner: 64, headdim: 16, n_groups: 1, d_state: 16, angles: 4 }
    expect(await mixerOf('ssm-mamba3', {})).toEqual({ ...sizes, least_rate: 1e-4 })
    expect(await mixerOf('ssm-mamba3', { ssm_cfg: { A_floor: 0.01 } })).toEqual({ ...sizes, least_rate: 0.01 })
  })

  test('has the limits of its steps, in every notation of Python', async () => {
    const limits = async (limit: unknown) =>
      (await mixerOf('hf-mamba2', { time_step_limit: limit })) as { dt_limit?: unknown }
    const infinity = { __float__: 'Infinity' }
    expect((await limits([0, infinity])).dt_limit).toBeUndefined()
    expect((await limits([0.01, infinity])).dt_limit).toEqual([0.01, null])
    expect((await limits([0, 0.5])).dt_limit).toEqual([0, 0.5])
    expect(await mixerOf('ssm-mamba2', { ssm_cfg: { layer: 'Mamba2', dt_limit: [0.001, 0.1] } })).toMatchObject({
      dt_limit: [0.001, 0.1],
    })
  })

  test('that cannot be is one line with exit code 69', async () => {
    const failing = async (changes: Record<string, unknown>, edit = (_: RawTensors) => {}) => {
      const { config, raw } = await goldenModel('hf-mamba2')
      edit(raw)
      return fails(await writeModel({ ...config, ...changes }, raw))
    }
    const mixer = 'backbone.layers.1.mixer.'
    expect(await failing({}, (raw) => raw.delete(`${mixer}dt_bias`))).toContain(`tensor ${mixer}dt_bias is missing`)
    // A skip for each channel, which no published model has.
    const perChannel = { shape: [64], values: noise(64, 1) }
    expect(await failing({}, (raw) => raw.set(`${mixer}D`, perChannel))).toContain(`${mixer}D is [64], expected [8]`)
    expect(await failing({ n_groups: 16 })).toContain('mixer.n_groups is 16, expected a part of the 8 heads')
    expect(await failing({ n_groups: 3 })).toContain('mixer.d_state is')
    expect(await failing({ time_step_limit: [0.2, 0.1] })).toContain('expected the lower limit first')
    expect(await failing({ time_step_limit: ['a', 1] })).toContain('time_step_limit')
  })
})

describe('broken checkpoints are one line with exit code 69', () => {
  const mixer = 'backbone.layers.1.mixer.'
  test.each<[string, (raw: RawTensors) => void, string]>([
    ['a missing tensor', (raw) => raw.delete(`${mixer}x_proj.weight`), `tensor ${mixer}x_proj.weight is missing`],
    [
      'a prefix that torch.compile adds',
      (raw) => {
        for (const [name, tensor] of [...raw]) {
          raw.delete(name)
          raw.set(`_orig_mod.${name}`, tensor)
        }
      },
      "but there is _orig_mod.backbone.embeddings.weight: take the prefix '_orig_mod.' off all names",
    ],
    ['a missing bias', (raw) => raw.delete(`${mixer}conv1d.bias`), `tensor ${mixer}conv1d.bias is missing`],
    [
      'a wrong shape',
      (raw) => raw.set(`${mixer}x_proj.weight`, { shape: [20, 64], values: noise(20 * 64, 1) }),
      `tensor ${mixer}x_proj.weight is [20, 64], expected [18, 64]`,
    ],
    [
      'a wrong rank',
      (raw) => raw.set(`${mixer}A_log`, { shape: [64], values: noise(64, 1) }),
      `tensor ${mixer}A_log is [64], expected 2 dimensions`,
    ],
    [
      'an unknown tensor',
      (raw) =>
        raw
          .set('extra.weight', { shape: [1], values: noise(1, 1) })
          .set('more', { shape: [0], values: new Float32Array() }),
      'tensor extra.weight is unknown to this layout (and 1 more)',
    ],
    [
      'Mamba-2',
      (raw) => raw.set(`${mixer}dt_bias`, { shape: [4], values: noise(4, 1) }),
      `tensor ${mixer}dt_bias belongs to Mamba-2, expected Mamba-1`,
    ],
    ['a missing layer', (raw) => drop(raw, 'backbone.layers.1.'), 'layer 1 of 3 is missing'],
    ['missing last layers', (raw) => drop(raw, 'backbone.layers.2.'), '2 layers, but'],
    ['no layers', (raw) => drop(raw, 'backbone.layers.'), 'no layers'],
  ])('%s', async (_, edit, message) => {
    const { config, raw } = await goldenModel('hf-mamba')
    edit(raw)
    expect(await fails(await writeModel(config, raw))).toContain(message)
  })

  test.each<[string, string, Record<string, unknown>, string]>([
    [
      'an unknown model type',
      'hf-mamba',
      { model_type: 'gemma' },
      'model_type "gemma" is not supported; layouts: longwave,',
    ],
    ['an activation', 'hf-mamba', { hidden_act: 'gelu' }, 'hidden_act is "gelu", expected silu'],
    [
      'a value of the wrong type',
      'hf-mamba',
      { layer_norm_epsilon: '1e-5' },
      'layer_norm_epsilon is "1e-5", expected a number above 0, at most 1',
    ],
    [
      'a head that is neither there nor tied',
      'hf-mamba',
      { tie_word_embeddings: false },
      'tensor lm_head.weight is missing, though tie_word_embeddings is false',
    ],
    [
      'Mamba-2 by its config, Mamba-1 by its tensors',
      'ssm-mamba1',
      { ssm_cfg: { layer: 'Mamba2' } },
      'tensor backbone.layers.0.mixer.dt_bias is missing',
    ],
    [
      'state-spaces attention',
      'ssm-mamba1',
      { attn_layer_idx: [1] },
      'attn_layer_idx is [1], expected none: attention is not supported yet',
    ],
    [
      'Mamba-3 in its MIMO form',
      'ssm-mamba3',
      { ssm_cfg: { layer: 'Mamba3', is_mimo: true } },
      'is_mimo is true, expected false: the MIMO form of Mamba-3 is not supported',
    ],
    [
      'a Caduceus strategy',
      'caduceus-ph',
      { bidirectional_strategy: 'gate' },
      'bidirectional_strategy is "gate", expected one of add, ew_multiply',
    ],
  ])('%s', async (_, golden, changes, message) => {
    const { config, raw, maps } = await goldenModel(golden)
    expect(await fails(await writeModel({ ...config, ...changes }, raw, maps))).toContain(message)
  })

  test('no folder, no config, no weights, weights of another name, a config that is not JSON', async () => {
    expect(await fails('test/golden/none')).toContain('no such model folder')
    const folder = await newFolder()
    expect(await fails(folder)).toContain('config.json: no such file')
    await writeFile(join(folder, 'config.json'), '{')
    expect(await fails(folder)).toContain('config.json: not JSON')
    await writeFile(join(folder, 'config.json'), '{}')
    expect(await fails(folder)).toContain('no weights: expected model.safetensors')
    await writeFile(join(folder, 'best.ckpt'), '')
    expect(await fails(folder)).toContain('holds best.ckpt, expected model.safetensors or model.safetensors.index.json')
  })

  test('shards: one is missing, lacks a tensor, lies elsewhere, or repeats a tensor', async () => {
    const { config, raw } = await goldenModel('hf-mamba')
    const folder = await shards(config, raw)
    const index = join(folder, 'model.safetensors.index.json')
    const whole = await readFile(index, 'utf8')
    await writeFile(index, whole.replace('"backbone.norm_f.weight"', '"backbone.norm_g.weight"'))
    expect(await fails(folder)).toContain('tensor backbone.norm_g.weight is missing, though the index names it')
    await writeFile(index, whole.replace('model-2.safetensors', '../model-2.safetensors'))
    expect(await fails(folder)).toContain('is "../model-2.safetensors", expected a file name')
    await writeFile(index, '{}')
    expect(await fails(folder)).toContain('weight_map is missing, expected an object')
    await writeFile(index, whole)
    await rename(join(folder, 'model-2.safetensors'), join(folder, 'elsewhere'))
    expect(await fails(folder)).toContain('model-2.safetensors: no such file')
    await writeSafetensors(join(folder, 'model-2.safetensors'), floatTensors(raw))
    expect(await fails(folder)).toContain('is already in')
  })

  test('a weight that is no finite number, of any layout and dtype, with its place', async () => {
    const name = 'backbone.layers.1.mixer.x_proj.weight'
    const { config, raw } = await goldenModel('hf-mamba')
    const { shape, values } = raw.get(name)!
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const bad = values.slice()
      bad[shape[1] + 3] = value
      const folder = await writeModel(config, new Map([...raw, [name, { shape, values: bad }]]))
      const place = `model.safetensors: tensor ${name} holds ${value} at [1, 3], expected finite numbers`
      expect(await fails(folder)).toContain(place)
    }
    const halves = { F16: [0x3c00, 0xfc00, 'holds -Infinity'], BF16: [0x3f80, 0x7fc0, 'holds NaN'] } as const
    for (const [dtype, [one, wrong, holds]] of Object.entries(halves)) {
      const folder = await writeModel(config, raw)
      const stored = floatTensors(raw).map((tensor) =>
        tensor.name === name
          ? {
              ...tensor,
              dtype: dtype as 'F16' | 'BF16',
              data: new Uint16Array(values.length).fill(one).fill(wrong, -1),
            }
          : tensor,
      )
      await writeSafetensors(join(folder, 'model.safetensors'), stored)
      expect(await fails(folder)).toContain(`${holds} at [${shape[0] - 1}, ${shape[1] - 1}]`)
    }
    const { spec, weights } = await openCheckpoint('test/golden/ssm-mamba1')
    weights.get('norm_f.weight')!.data[2] = Number.NaN
    const folder = await newFolder()
    await saveCheckpoint(folder, spec, weights)
    expect(await fails(folder)).toContain('tensor norm_f.weight holds NaN at [0, 2]')
  })

  test('a number of a config that is not finite', async () => {
    for (const [text, value] of [
      ['Infinity', 'Infinity'],
      ['1e999', 'Infinity'],
      ['-Infinity', '-Infinity'],
      ['NaN', '"NaN"'],
    ]) {
      const { config, raw } = await goldenModel('hf-mamba')
      const folder = await writeModel(config, raw)
      await writeFile(
        join(folder, 'config.json'),
        JSON.stringify({ ...config, layer_norm_epsilon: 7e-7 }).replace('7e-7', text),
      )
      expect(await fails(folder)).toContain(`layer_norm_epsilon is ${value}, expected a number above 0`)
      const { spec, weights } = await openCheckpoint('test/golden/hf-mamba')
      const own = await newFolder()
      await saveCheckpoint(own, { ...spec, norm: { kind: 'rms', eps: 7e-7 } }, weights)
      const path = join(own, 'config.json')
      await writeFile(path, (await readFile(path, 'utf8')).replace('7e-7', text))
      expect(await fails(own)).toContain(`spec.norm.eps is ${value}, expected a number above 0`)
    }
  })

  test('our own layout: a spec that contradicts itself or the weights', async () => {
    const { spec, weights } = await openCheckpoint('test/golden/hf-mamba')
    const folder = await newFolder()
    await saveCheckpoint(folder, spec, weights)
    const path = join(folder, 'config.json')
    const refusal = async (changes: Record<string, unknown>) => {
      await writeFile(path, JSON.stringify({ format: 'longwave', spec: { ...spec, ...changes } }))
      return fails(folder)
    }
    expect(await refusal({ d_model: 16 })).toContain('spec.d_model is 16, expected 32')
    expect(await refusal({ norm: { kind: 'batch', eps: 1 } })).toContain(
      'spec.norm.kind is "batch", expected one of rms, layer',
    )
    expect(await refusal({ blocks: [{}] })).toContain('spec.blocks[0].mixer is missing, expected an object')
    expect(await refusal({ input: { kind: 'tokens', tokenizer: 'ids', vocab_size: 65 } })).toContain(
      'tensor embedding.weight is [64, 32], expected [65, 32]',
    )
    expect(await refusal({ surprise: 1 })).toContain('spec.surprise is not known; there are input,')
    expect(await refusal({ head: { kind: 'classes', labels: [], pool: 'mean' } })).toContain(
      'spec.head.labels is [], expected at least 1',
    )
    const { input: tokens } = spec
    const caduceus = { kind: 'tokens', tokenizer: 'caduceus', vocab_size: 11 }
    const rc = { complement: [1, 0], fused: true }
    for (const [changes, line] of [
      [{ input: caduceus }, 'spec.input.vocab_size is 11, expected at least 12 for caduceus'],
      [
        { input: { ...caduceus, tokenizer: 'plantcaduceus', vocab_size: 6 } },
        'spec.input.vocab_size is 6, expected at least 7 for plantcaduceus',
      ],
      [
        {
          reverse_complement: { complement: Array(64).fill(0), fused: true },
          head: { kind: 'classes', labels: ['a', 'b'], pool: 'last' },
        },
        'spec.head.pool is "last", expected mean or max with reverse_complement',
      ],
      [{ input: { kind: 'values' } }, 'spec.head.kind is "tokens", expected classes or ctc for values'],
      [{ input: { kind: 'image' } }, 'spec.input.kind is "image", expected tokens, log-mel, values'],
      [{ input: undefined, tokenizer: 'ids' }, 'spec.tokenizer is of a build before 0.1.0, expected spec.input'],
      [{ reverse_complement: rc }, 'spec.reverse_complement.complement is [1, 0], expected 64 ids below 64'],
      [
        { head: { kind: 'classes', labels: ['a', 'b', 'a'], pool: 'mean' } },
        'spec.head.labels is ["a", "b", "a"], expected each label once, not "a" twice',
      ],
      [{ head: { kind: 'classes', labels: ['a'], pool: 'flatten' } }, 'spec.head.length is missing'],
      ...[0, -1, 0.049, 20.1, 1e300].map(
        (temperature) =>
          [
            { head: { kind: 'classes', labels: ['a'], pool: 'mean', temperature } },
            `spec.head.temperature is ${temperature}, expected a number from 0.05 to 20`,
          ] as const,
      ),
      [
        { head: { kind: 'classes', labels: ['a'], pool: 'mean', temperature: '1' } },
        'spec.head.temperature is "1", expected',
      ],
      [{ norm: { kind: 'rms', eps: 0 } }, 'spec.norm.eps is 0, expected a number above 0, at most 1'],
      [{ blocks: Array(1001).fill(spec.blocks[0]) }, 'spec.blocks is a list of 1001, expected at most 1000'],
      [
        { stem: Array(3).fill({ window: 11, stride: 11, d_out: 32 }) },
        'expected strides whose product is at most 1024',
      ],
      [{ input: { ...tokens, vocab_siz: 3 } }, 'spec.input.vocab_siz is not known; did you mean vocab_size?'],
    ] as const)
      expect(await refusal(changes)).toContain(line)
    // Cutting a recording between rows longer than its windows would never end.
    const digits = (await openCheckpoint('models/digits')).spec
    const input = { ...digits.input, n_fft: 65_536, window: 65_000, hop: 65_000 }
    expect(await refusal({ ...digits, input })).toContain('expected a row of at most 5 s of audio, not 16.25 s')
    await rm(path)
    await writeFile(path, '{"format": "longwave"}')
    expect(await fails(folder)).toContain('spec is missing, expected an object')
  })
})

const mamba8: MambaSpec = { kind: 'mamba', d_inner: 64, d_state: 8, dt_rank: 2, d_conv: 4 }

/** Pre-norm blocks as transformers and state-spaces wire them, on the tensors of the file. */
function official(raw: RawTensors, embedding: string, layers: number, norm: NormSpec, spec: MambaSpec): Rows {
  const get = (name: string): Matrix | undefined => {
    const tensor = raw.get(name)
    if (!tensor) return undefined
    const [rows, cols] = tensor.shape.length === 1 ? [1, tensor.shape[0]] : tensor.shape
    return { rows, cols, data: tensor.values }
  }
  const { cols, data } = get(embedding)!
  let x: Rows = Array.from(ids, (id) => Float64Array.from(data.subarray(id * cols, (id + 1) * cols)))
  for (let i = 0; i < layers; i++) {
    const at = `backbone.layers.${i}.`
    const mixed = mamba(normed(x, norm, get(`${at}norm.weight`), get(`${at}norm.bias`)), spec, (name) => {
      if (name === 'conv.weight') return convRows(raw.get(`${at}mixer.conv1d.weight`)!)
      return get(`${at}mixer.${name.replace('conv.', 'conv1d.')}`)
    })
    x = plus(x, mixed)
    const [fc1, fc2] = [get(`${at}mlp.fc1.weight`), get(`${at}mlp.fc2.weight`)]
    if (!fc1 || !fc2) continue
    const H = fc1.rows / 2
    const both = linear(normed(x, norm, get(`${at}norm2.weight`), get(`${at}norm2.bias`)), fc1)
    const gated = both.map((r) => r.slice(0, H).map((y, j) => (y * r[H + j]) / (1 + Math.exp(-r[H + j]))))
    x = plus(x, linear(gated, fc2))
  }
  const last = normed(x, norm, get('backbone.norm_f.weight'), get('backbone.norm_f.bias'))
  return linear(last, get('lm_head.weight') ?? get(embedding)!)
}

/** The tensors in two files, with an index. */
async function shards(config: Record<string, unknown>, raw: RawTensors): Promise<string> {
  const folder = await newFolder()
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  const all = floatTensors(raw)
  const files = { 'model-1.safetensors': all.slice(0, 10), 'model-2.safetensors': all.slice(10) }
  const weight_map: Record<string, string> = {}
  for (const [file, tensors] of Object.entries(files)) {
    await writeSafetensors(join(folder, file), tensors)
    for (const { name } of tensors) weight_map[name] = file
  }
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map }, null, 1))
  return folder
}

function drop(raw: RawTensors, prefix: string): void {
  for (const name of [...raw.keys()]) if (name.startsWith(prefix)) raw.delete(name)
}

function byKeysOf(weights: ReadonlyMap<string, unknown>) {
  const order = [...weights.keys()]
  return ([a]: [string, unknown], [b]: [string, unknown]) => order.indexOf(a) - order.indexOf(b)
}
