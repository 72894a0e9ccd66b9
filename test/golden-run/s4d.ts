import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FloatArray, Tensor } from '../../src/backends/backend.js'
import { type Complex, conjugate, discretise, times } from '../../src/backends/discretise.js'
import { devices } from '../../src/backends/registry.js'
import { familyOf } from '../../src/layers/mixers/registry.js'
import type { S4dSpec } from '../../src/layers/mixers/s4d.js'
import { Params } from '../../src/layers/params.js'
import { cutSegments } from '../backends/segments.js'
import { Expected, type Golden, readGolden } from './expected.js'
import { type BackendName, type Check, slack } from './folders.js'
import { tokensFirst } from './kernel.js'

/** The S4D layer of the official code, which convolves, by our recurrence, in two pieces of each sequence. */
export const checkS4d: Check = (folder, backend) =>
  checkLayer(folder, backend, ['L1.', 'L64.', 'L1000.'], (model, name) => {
    const official =
      name === 'D' ? name : name.startsWith('out_proj') ? `output_linear.0${name.slice(8)}` : `kernel.${name}`
    return model.get(official)!.data
  })

/** Its S4Block with a diagonal kernel: A has the other sign of its imaginary part, and B is a parameter, here in C. */
export const checkS4block: Check = (folder, backend) =>
  checkLayer(folder, backend, [''], (model, name) => {
    const kernel = (part: string) => model.get(`layer.kernel.${part}`)!.data
    if (name === 'log_dt') return kernel('inv_dt')
    if (name === 'log_A_real') return kernel('A_real')
    if (name === 'D') return model.get('layer.D')!.data
    if (name === 'C') return conjugates(products(kernel('B'), kernel('C')))
    return name === 'A_imag' ? kernel(name) : model.get(`output_linear.0${name.slice(8)}`)!.data
  })

async function checkLayer(
  folder: string,
  backendName: BackendName,
  cases: string[],
  officialOf: (model: Map<string, Golden>, name: string) => Golden['data'],
) {
  const { d_model: H, d_state: N } = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
  const model = await readGolden(join(folder, 'model.safetensors'))
  const expected = await Expected.read(folder, slack[backendName])
  const b = await devices[backendName].open()
  const spec: S4dSpec = { kind: 's4d', d_state: N }
  const family = familyOf(spec)
  const weights = new Map(
    family.weights(spec, H).map(({ name, rows, cols }) => [name, b.upload(officialOf(model, name), rows, cols)]),
  )
  const layer = family.make(spec, new Params(weights))
  const scan = async (rows: Float32Array, L: number, cuts: number[], of = layer) => {
    const state = { ssm: b.zeros(H, N) }
    const ys: FloatArray[] = []
    for (const [i, to] of [...cuts, L].entries()) {
      const from = cuts[i - 1] ?? 0
      const segments = cutSegments([L], from, to)
      const projected = await of.project(b, b.upload(rows.subarray(from * H, to * H), to - from, H), segments)
      ys.push(await b.download(await of.scan(b, projected, segments, 'forward', state, [])))
    }
    return { y: ys.flatMap((y) => [...y]), state: [...(await b.download(state.ssm))] }
  }
  // What an impulse gives without D is the kernel of the convolution.
  const withoutD = family.make(spec, new Params(new Map<string, Tensor>([...weights, ['D', b.zeros(1, H)]])))
  for (const of of cases) {
    const input = expected.get(`${of}input`)
    const [batch, , L] = input.shape
    const cuts = L > 1 ? [Math.floor(L / 3)] : []
    const impulse = new Float32Array(L * H).fill(1, 0, H)
    expected.compare(`${of}kernel`, channelsFirst((await scan(impulse, L, cuts, withoutD)).y, L))
    const [scanned, out, last]: number[][] = [[], [], []]
    for (let sample = 0; sample < batch; sample++) {
      const { y, state } = await scan(tokensFirst(input, sample), L, cuts)
      const finished = await b.download(await layer.finish(b, {}, [b.upload(y, L, H)], null, cutSegments([L], 0, L)))
      scanned.push(...channelsFirst(y, L))
      out.push(...channelsFirst(finished, L))
      last.push(...state)
    }
    if (expected.has(`${of}ssm_out`)) expected.compare(`${of}ssm_out`, scanned)
    if (expected.has(`${of}out_recurrent`)) expected.compare(`${of}out_recurrent`, out)
    expected.compare(`${of}out`, out)
    expected.compare(`${of}final_state`, expected.has('final_state') ? s4blockState(model, last) : last)
  }
  await b.close()
  expected.checkAllCompared(/^$/)
  return expected.comparisons
}

const complexAt = (x: ArrayLike<number>, i: number): Complex => [x[2 * i], x[2 * i + 1]]
const modesOf = (x: ArrayLike<number>, each: (i: number) => Complex): Float32Array =>
  Float32Array.from(Array.from({ length: x.length / 2 }, (_, i) => each(i)).flat())
const conjugates = (x: ArrayLike<number>) => modesOf(x, (i) => conjugate(complexAt(x, i)))
const products = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  modesOf(x, (i) => times(complexAt(x, i), complexAt(y, i)))

/** Ours [batch, H, M] without what S4Block weighs the input by, as it keeps the states. */
function s4blockState(model: Map<string, Golden>, last: number[]): Float32Array {
  const kernel = (part: string) => model.get(`layer.kernel.${part}`)!.data
  const modes = kernel('A_imag').length
  return modesOf(last, (at) => {
    const i = at % modes
    const h = Math.floor((i * kernel('inv_dt').length) / modes)
    const A: Complex = [-Math.exp(kernel('A_real')[i]), -kernel('A_imag')[i]]
    const input = times(complexAt(kernel('B'), i), discretise(A, Math.exp(kernel('inv_dt')[h]), 'zoh').held)
    return times(conjugate(complexAt(last, at)), input)
  })
}

/** [L, H] -> [H, L] */
function channelsFirst(rows: ArrayLike<number>, L: number): number[] {
  const H = rows.length / L
  return Array.from({ length: rows.length }, (_, i) => rows[(i % L) * H + Math.floor(i / L)])
}
