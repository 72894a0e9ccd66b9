import { describe, expect, test } from 'vitest'
import { widened } from '../../src/backends/weight.js'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import type { MixerSpec } from '../../src/spec.js'
import { type Config, goldenModel, newFolder, noise, type RawTensors, writeModel } from './folders.js'

const attentionOf = async (folder: string): Promise<MixerSpec[]> =>
  (await openCheckpoint(folder)).spec.blocks.flatMap(({ mixer }) => (mixer.kind === 'attention' ? [mixer] : []))

test('Granite turns by position only where its config says rope', async () => {
  const { config, raw } = await goldenModel('hf-granite-hybrid')
  const plain = {
    kind: 'attention',
    heads: 4,
    kv_heads: 2,
    d_head: 8,
    scale: 0.0625,
    max_length: 4096,
  }
  expect(await attentionOf('test/golden/hf-granite-hybrid')).toEqual([plain])
  const turned = await writeModel({ ...config, position_embedding_type: 'rope', rope_theta: 500 }, raw)
  expect(await attentionOf(turned)).toEqual([{ ...plain, rope_theta: 500 }])
})

test('a hybrid is saved in our own layout, and opens from it', async () => {
  for (const name of ['hf-jamba', 'hf-granite-hybrid-moe', 'hf-falcon-h1', 'hf-qwen3-next']) {
    const { spec, weights } = await openCheckpoint(`test/golden/${name}`)
    const folder = await newFolder()
    await saveCheckpoint(folder, spec, weights)
    const own = await openCheckpoint(folder)
    expect(own.spec).toEqual(spec)
    expect(own.weights).toEqual(weights)
  }
})

test('Qwen3-Next opens without the head that guesses several tokens ahead; its experts may keep their shares of all', async () => {
  const { config, raw } = await goldenModel('hf-qwen3-next')
  raw.set('mtp.fc.weight', { shape: [32, 64], values: noise(2048, 1) })
  const { spec, weights } = await openCheckpoint(await writeModel({ ...config, norm_topk_prob: false }, raw))
  expect(spec.blocks[0].moe).toEqual({ experts: 4, active: 2, d_hidden: 16, over: 'all', d_shared: 16 })
  expect([...weights.keys()].filter((name) => name.includes('mtp'))).toEqual([])
})

describe('multipliers of Falcon-H1', () => {
  const at = 'model.layers.0.'
  async function read(config: Config, raw: RawTensors) {
    const { weights } = await openCheckpoint(await writeModel(config, raw))
    return (name: string) => [...widened(weights.get(`blocks.0.${name}`)!)]
  }
  const times = (values: ArrayLike<number>, factor: (i: number) => number) =>
    Array.from(values, (x, i) => Math.fround(x * factor(i)))

  test('become part of weights and biases', async () => {
    const { config, raw } = await goldenModel('hf-falcon-h1')
    raw.set(`${at}self_attn.k_proj.bias`, { shape: [32], values: noise(32, 1) })
    raw.set(`${at}mamba.in_proj.bias`, { shape: [134], values: noise(134, 2) })
    const weight = await read(config, raw)
    const stored = (name: string) => raw.get(at + name)!.values
    expect(weight('mixer.1.k_proj.weight')).toEqual(times(stored('self_attn.k_proj.weight'), () => 0.390625))
    expect(weight('mixer.1.k_proj.bias')).toEqual(times(stored('self_attn.k_proj.bias'), () => 0.390625))
    expect(weight('mixer.1.q_proj.weight')).toEqual([...stored('self_attn.q_proj.weight')])
    // Rows z, x, B, C and dt: 48, 48, 16, 16 and 6.
    const [z, x, B, C, dt] = config.ssm_multipliers as number[]
    const section = (row: number) => (row < 48 ? z : row < 96 ? x : row < 112 ? B : row < 128 ? C : dt)
    const inProj = stored('mamba.in_proj.weight')
    expect(weight('mixer.0.in_proj.weight')).toEqual(times(inProj, (i) => 1.25 * section(Math.floor(i / 32))))
    expect(weight('mixer.0.in_proj.bias')).toEqual(times(stored('mamba.in_proj.bias'), section))
    expect(weight('mlp.fc1.weight')).toEqual([
      ...stored('feed_forward.up_proj.weight'),
      ...times(stored('feed_forward.gate_proj.weight'), () => (config.mlp_multipliers as number[])[0]),
    ])
  })
})

describe('what does not fit is one line', () => {
  async function fails(name: string, change: (config: Config, raw: RawTensors) => void): Promise<string> {
    const { config, raw } = await goldenModel(name)
    change(config, raw)
    const error = await openCheckpoint(await writeModel(config, raw)).catch((thrown) => thrown)
    expect(error).toMatchObject({ name: 'UserError', exitCode: 69 })
    expect(error.message).not.toContain('\n')
    return error.message
  }

  test.each([
    ['hf-jamba', { num_attention_heads: 5 }, 'has 32 rows, expected a multiple of 5'],
    ['hf-jamba', { num_attention_heads: 1 }, 'has 16 rows, expected a multiple of 32'],
    ['hf-jamba', { num_experts_per_tok: 5 }, 'blocks[1].moe.active is 5, expected at most 4, the experts'],
    ['hf-jamba', { hidden_act: 'relu' }, 'hidden_act is "relu", expected silu'],
    ['hf-granite-hybrid', { rope_scaling: { factor: 2 } }, 'rope_scaling is an object, expected null'],
    ['hf-granite-hybrid', { logits_scaling: 0 }, 'logits_scaling is 0, expected a number above 0'],
    ['hf-granite-hybrid-moe', { mamba_n_groups: 3 }, 'blocks[0].mixer'],
    ['hf-falcon-h1', { ssm_multipliers: [1, 2] }, 'ssm_multipliers is [1, 2], expected a list of 5 numbers above 0'],
    ['hf-qwen3-next', { linear_num_key_heads: 3 }, 'blocks[0].mixer.d_key'],
    [
      'hf-qwen3-next',
      { partial_rotary_factor: 0.2 },
      'mixer.rotary is 3, expected an even number of at most 16, d_head',
    ],
  ])('%s with %j', async (name, change, message) => {
    expect(await fails(name, (config) => Object.assign(config, change))).toContain(message)
  })

  test('an expert that is missing, and one too many', async () => {
    const expert = 'model.layers.1.feed_forward.experts.3.up_proj.weight'
    expect(await fails('hf-jamba', (_, raw) => raw.delete(expert))).toContain(`${expert} is missing`)
    const extra = expert.replace('experts.3', 'experts.4')
    const added = fails('hf-jamba', (_, raw) => raw.set(extra, raw.get(expert)!))
    expect(await added).toContain(`${extra} is unknown to this layout`)
  })
})
