import type { ForwardOptions, Model, ModelState } from '../../src/index.js'
import { openModel } from '../../src/index.js'
import { concatenate } from '../../src/runtime/concatenate.js'
import { Expected, readConfig } from './expected.js'
import { type Check, slack } from './folders.js'

/** One sample's outputs of a case. */
interface Outputs {
  logits: Float32Array
  listed: Float32Array[]
  last: Float32Array
  state: ModelState | undefined
}

/** A model through the library: every case that expected.safetensors holds, a batch sample by sample. */
export const checkModel: Check = async (folder, backend, longest = Number.POSITIVE_INFINITY) => {
  const expected = await Expected.read(folder, slack[backend])
  // Smaller than the longer cases, so that state is carried over chunk borders.
  const model = await openModel(folder, { device: backend, chunk: 1024 })
  try {
    const states = new Map<string, (ModelState | undefined)[]>()
    for (const key of expected.names('').filter((name) => name.endsWith('.input_ids'))) {
      const name = key.slice(0, -'.input_ids'.length)
      const from = name === 'step' ? states.get('L5') : undefined
      if (expected.get(key).shape[1] > longest) expected.leaveOut(`${name}.`)
      else if (name === 'mask') await checkMasked(model, expected)
      else states.set(name, await checkCase(model, expected, name, from))
    }
    if (expected.has('greedy.output_ids')) await checkGreedy(model, expected, folder)
    // What the router of experts said is not given out; logits and hidden states follow from it.
    expected.checkAllCompared(/router_logits/)
  } finally {
    await model.close()
  }
  return expected.comparisons
}

async function checkCase(model: Model, expected: Expected, name: string, from?: (ModelState | undefined)[]) {
  const ids = expected.get(`${name}.input_ids`)
  const [B, L] = ids.shape
  const samples: Outputs[] = []
  for (let b = 0; b < B; b++) {
    const sample = Int32Array.from(ids.data.subarray(b * L, (b + 1) * L))
    samples.push(await outputs(model, expected, name, sample, from?.[b]))
  }
  const positions = expected.has(`${name}.positions`) ? [...expected.get(`${name}.positions`).data] : []
  const at = (values: Float32Array) => {
    const width = values.length / L
    return positions.flatMap((t) => [...values.subarray(t * width, (t + 1) * width)])
  }
  const readers: [RegExp, (sample: Outputs, i: number) => ArrayLike<number>][] = [
    [/^logits$/, ({ logits }) => logits],
    [/^logits_at$/, ({ logits }) => at(logits)],
    [/^(hidden_states|residual_after_layer)\.(\d+)$/, ({ listed }, i) => listed[i] ?? []],
    [/^last_hidden_state$/, ({ last }) => last],
    [/^last_hidden_state_at$/, ({ last }) => at(last)],
    [/^conv_state\.(\d+)$/, ({ state }, i) => state?.layers[i].conv ?? state?.layers[i].conv_state ?? []],
    [/^recurrent_state\.(\d+)$/, ({ state }, i) => state?.layers[i].recurrent_state ?? []],
    [/^ssm_state\.(\d+)$/, ({ state }, i) => state?.layers[i].ssm ?? []],
    [/^angle_state\.(\d+)$/, ({ state }, i) => state?.layers[i].angle ?? []],
    [/^k_state\.(\d+)$/, ({ state }, i) => state?.layers[i].k ?? []],
    [/^v_state\.(\d+)$/, ({ state }, i) => state?.layers[i].v ?? []],
    [/^key_cache\.(\d+)$/, ({ state }, i) => state?.layers[i].key_cache ?? []],
    [/^value_cache\.(\d+)$/, ({ state }, i) => state?.layers[i].value_cache ?? []],
  ]
  for (const key of expected.names(`${name}.`)) {
    const what = key.slice(name.length + 1)
    const read = readers.find(([pattern]) => pattern.test(what))?.[1]
    const i = Number(what.split('.')[1])
    if (!read) continue
    const got = concatenate(samples.map((sample) => read(sample, i)))
    expected.compare(key, what.startsWith('angle') ? nextTo(expected.get(key).data, got) : got)
  }
  return samples.map(({ state }) => state)
}

async function outputs(model: Model, expected: Expected, name: string, ids: Int32Array, state?: ModelState) {
  const run = (options: ForwardOptions) => model.forward(ids, { state, ...options })
  const wanted = (what: string) => expected.names(`${name}.${what}`).length > 0
  const listed = wanted('hidden_states') || wanted('residual_after_layer')
  const first = await run({ hidden: listed ? 'all' : 'last' })
  const last = listed && wanted('last_hidden_state') ? await run({ logits: 'none', hidden: 'last' }) : first
  return {
    logits: first.logits!,
    listed: listed ? (first.hidden as Float32Array[]) : [],
    last: last.hidden as Float32Array,
    state: first.state,
  }
}

/** Angles as they lie next to those that are expected: a turn more or less is none. */
export const nextTo = (expected: ArrayLike<number>, got: ArrayLike<number>): number[] =>
  Array.from(got, (angle, i) => angle + 2 * Math.PI * Math.round((expected[i] - angle) / 2 / Math.PI))

/** Padding on the left is as if it were not there: each sample without it, compared where the mask is 1. */
async function checkMasked(model: Model, expected: Expected): Promise<void> {
  const ids = expected.get('mask.input_ids')
  const mask = expected.get('mask.attention_mask').data
  const [B, L] = ids.shape
  const { input } = model.spec
  const V = input.kind === 'tokens' ? input.vocab_size : 0
  const all = new Float32Array(B * L * V)
  for (let b = 0; b < B; b++) {
    const begin = mask.indexOf(1, b * L)
    const { logits } = await model.forward(Int32Array.from(ids.data.subarray(begin, (b + 1) * L)))
    all.set(logits!, begin * V)
  }
  expected.compare('mask.logits', all, (i) => mask[Math.floor(i / V)] === 1)
}

/** The first L5 sample, then token by token what the model finds most likely; rows by which a vocabulary was padded are no tokens. */
async function checkGreedy(model: Model, expected: Expected, folder: string): Promise<void> {
  const { vocab_size } = await readConfig(folder)
  const want = expected.get('greedy.output_ids').data
  const L = expected.get('L5.input_ids').shape[1]
  const got = [...expected.get('L5.input_ids').data.subarray(0, L)]
  const said: Float32Array[] = []
  let next = await model.forward(Int32Array.from(got), { logits: 'last' })
  while (got.length < want.length) {
    const logits = next.logits!
    said.push(logits)
    const tokens = logits.subarray(0, vocab_size)
    got.push(tokens.indexOf(tokens.reduce((a, b) => Math.max(a, b))))
    next = await model.forward(Int32Array.of(got.at(-1)!), { state: next.state, logits: 'last' })
  }
  expected.compare('greedy.output_ids', got)
  if (expected.has('greedy.logits')) expected.compare('greedy.logits', concatenate(said))
}
