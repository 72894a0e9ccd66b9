import type { MambaSpec } from '../../src/layers/mixers/mamba.js'
import type { NormSpec } from '../../src/spec.js'
import { linear, type Matrix, mamba, normed, plus, type Rows } from './plain.js'

/**
 * Caduceus as its official code wires it (modeling_caduceus.py, modeling_rcps.py), on the tensors as they lie in the
 * file: PS carries both halves of the channels through the stack. Independent of the layout under test, which rewrites
 * all this.
 */
export interface Raw {
  shape: number[]
  values: Float32Array
}

export interface CaduceusConfig {
  rcps: boolean
  fused_add_norm: boolean
  bidirectional: boolean
  bidirectional_strategy: 'add' | 'ew_multiply'
  rms_norm: boolean
  n_layer: number
}

export function officialCaduceus(
  config: CaduceusConfig,
  raw: Map<string, Raw>,
  mixer: MambaSpec,
  complement: readonly number[],
  ids: Int32Array,
): { logits: Rows; listed: Rows[] } {
  const { rcps, fused_add_norm: fused } = config
  const norm: NormSpec = { kind: config.rms_norm ? 'rms' : 'layer', eps: 1e-5 }
  const get = (name: string): Matrix | undefined => {
    const tensor = raw.get(name)
    if (!tensor) return undefined
    const [rows, cols] = tensor.shape.length === 1 ? [1, tensor.shape[0]] : [tensor.shape[0], tensor.shape.at(-1)!]
    return { rows, cols, data: tensor.values }
  }
  const words = 'caduceus.backbone.embeddings.word_embeddings.'
  const embedding = get(`${words}${rcps ? 'embedding.' : ''}weight`)!
  const embed = (list: readonly number[]) =>
    list.map((id) => Float64Array.from(embedding.data.subarray(id * embedding.cols, (id + 1) * embedding.cols)))

  const blockMixer = (i: number) => (x: Rows) => {
    const prefix = `caduceus.backbone.layers.${i}.mixer.${rcps ? 'submodule.' : ''}`
    const one = (direction: string, input: Rows) =>
      mamba(input, mixer, (name) => {
        if (name === 'conv.weight') return convRows(raw.get(`${prefix}${direction}.conv1d.weight`)!)
        if (name === 'conv.bias') return get(`${prefix}${direction}.conv1d.bias`)
        return get(`${prefix}${direction}.${name}`) ?? get(`${prefix}mamba_fwd.${name}`)
      })
    const forward = one('mamba_fwd', x)
    if (!config.bidirectional) return forward
    const reverse = one('mamba_rev', x.toReversed()).toReversed()
    if (config.bidirectional_strategy === 'add') return plus(forward, reverse)
    return forward.map((r, t) => r.map((v, d) => v * reverse[t][d]))
  }
  const norming = (name: string) => (x: Rows) => {
    const wrapped = `${name}${rcps && !fused ? '.submodule' : ''}`
    return normed(x, norm, get(`${wrapped}.weight`), get(`${wrapped}.bias`))
  }
  const both = (f: (x: Rows) => Rows, x: Rows): Rows => {
    if (!rcps) return f(x)
    return joined(f(half(x, 0)), rc(f(rc(half(x, 1)))))
  }

  const map = Array.from(ids)
  let hidden: Rows = rcps ? joined(embed(map), rc(embed(map.toReversed().map((id) => complement[id])))) : embed(map)
  let residual: Rows | undefined
  const listed: Rows[] = []
  for (let i = 0; i < config.n_layer; i++) {
    listed.push(hidden)
    let sum = residual ? plus(hidden, residual) : hidden
    // The fused branch reads the second half as the forward one, and stores it first.
    if (rcps && fused) sum = joined(half(sum, 1), half(sum, 0))
    residual = sum
    hidden = both(blockMixer(i), both(norming(`caduceus.backbone.layers.${i}.norm`), sum))
  }
  const last = both(norming('caduceus.backbone.norm_f'), plus(hidden, residual!))
  if (fused) listed.push(last)
  const head = get(rcps ? 'lm_head.lm_head.weight' : 'lm_head.weight') ?? embedding
  if (!rcps) return { logits: linear(last, head), listed }
  const forward = linear(half(last, 0), head)
  const reverse = linear(
    half(last, 1).map((r) => r.toReversed()),
    head,
  )
  return { logits: forward.map((r, t) => r.map((v, id) => v + reverse[t][complement[id]])), listed }
}

/** [E, 1, K] as [K, E] */
export function convRows({ shape: [E, , K], values }: Raw): Matrix {
  const data = new Float32Array(E * K)
  for (let k = 0; k < K; k++) for (let e = 0; e < E; e++) data[k * E + e] = values[e * K + k]
  return { rows: K, cols: E, data }
}

const half = (x: Rows, which: 0 | 1) => x.map((r) => r.slice((which * r.length) / 2, ((which + 1) * r.length) / 2))
const joined = (a: Rows, b: Rows) => a.map((r, t) => Float64Array.from([...r, ...b[t]]))
const rc = (x: Rows) => x.map((r) => r.toReversed()).toReversed()
