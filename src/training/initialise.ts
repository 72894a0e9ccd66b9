import type { MambaSpec, Matrix, ModelSpec, Weights } from '../spec.js'
import { headWidth } from './architecture.js'
import { Random } from './random.js'

/**
 * Weights of a fresh model, as state-spaces/mamba starts them (Mamba.__init__ and _init_weights; arXiv 2312.00752, 3.6):
 * A_log = log(1 .. N), D = 1, dt bias the inverse softplus of a step log-uniform in [0.001, 0.1], dt_proj uniform within
 * R^-0.5, linear layers and convolutions PyTorch's default (uniform within fan_in^-0.5), those that end a branch (out_proj,
 * fc2) smaller by the root of the number of branches, biases 0, embedding normal with deviation 0.02. Before a stem, which
 * has no norm of its own, the embedding starts with deviation 1 (PyTorch's default).
 */
export function initialise(spec: ModelSpec, seed: number): Weights {
  const random = new Random(seed, 0)
  const weights: Weights = new Map()
  const fill = (rows: number, cols: number, draw: (row: number, col: number) => number): Matrix => ({
    rows,
    cols,
    data: Float32Array.from({ length: rows * cols }, (_, i) => draw(Math.floor(i / cols), i % cols)),
  })
  const set = (name: string, matrix: Matrix) => weights.set(name, matrix)
  const constant = (name: string, cols: number, value: number) =>
    set(
      name,
      fill(1, cols, () => value),
    )
  const uniform = (name: string, rows: number, cols: number, bound: number) =>
    set(
      name,
      fill(rows, cols, () => random.uniform(-bound, bound)),
    )
  const linear = (name: string, rows: number, cols: number, shrink = 1) =>
    uniform(name, rows, cols, 1 / Math.sqrt(cols) / shrink)
  const norm = (name: string) => {
    constant(`${name}.weight`, spec.d_model, 1)
    if (spec.norm.kind === 'layer') constant(`${name}.bias`, spec.d_model, 0)
  }

  const mamba = (name: string, { d_inner: E, d_state: N, dt_rank: R, d_conv: K }: MambaSpec, projections: boolean) => {
    if (projections) linear(`${name}.in_proj.weight`, 2 * E, spec.d_model)
    uniform(`${name}.conv.weight`, K, E, 1 / Math.sqrt(K))
    uniform(`${name}.conv.bias`, 1, E, 1 / Math.sqrt(K))
    linear(`${name}.x_proj.weight`, R + 2 * N, E)
    uniform(`${name}.dt_proj.weight`, E, R, 1 / Math.sqrt(R))
    set(
      `${name}.dt_proj.bias`,
      fill(1, E, () => {
        const dt = Math.max(Math.exp(random.uniform(Math.log(0.001), Math.log(0.1))), 1e-4)
        return dt + Math.log(-Math.expm1(-dt))
      }),
    )
    set(
      `${name}.A_log`,
      fill(E, N, (_, n) => Math.log(n + 1)),
    )
    constant(`${name}.D`, E, 1)
    if (projections) linear(`${name}.out_proj.weight`, spec.d_model, E, Math.sqrt(branches))
  }

  const branches = spec.blocks.reduce((n, { mlp }) => n + (mlp ? 2 : 1), 0)
  const deviation = spec.stem.length > 0 ? 1 : 0.02
  if (spec.input.kind === 'tokens')
    set(
      'embedding.weight',
      fill(spec.input.vocab_size, spec.d_embed, () => deviation * random.normal()),
    )
  let width = spec.d_embed
  for (const [i, { window, d_out }] of spec.stem.entries()) {
    linear(`stem.${i}.weight`, d_out, window * width)
    constant(`stem.${i}.bias`, d_out, 0)
    width = d_out
  }
  for (const [i, { mixer, mlp }] of spec.blocks.entries()) {
    norm(`blocks.${i}.norm`)
    if (mixer.kind === 'mamba') mamba(`blocks.${i}.mixer`, mixer, true)
    else {
      mamba(`blocks.${i}.mixer.forward`, mixer.mamba, true)
      mamba(`blocks.${i}.mixer.reverse`, mixer.mamba, !mixer.tied)
    }
    if (mlp) {
      norm(`blocks.${i}.norm2`)
      linear(`blocks.${i}.mlp.fc1.weight`, 2 * mlp.d_hidden, spec.d_model)
      linear(`blocks.${i}.mlp.fc2.weight`, spec.d_model, mlp.d_hidden, Math.sqrt(branches))
    }
  }
  norm('norm_f')
  for (const [name, matrix] of initialiseHead(spec, seed)) set(name, matrix)
  return weights
}

/** A fresh head: uniform within fan_in^-0.5, bias 0. */
export function initialiseHead(spec: ModelSpec, seed: number): Weights {
  const { head } = spec
  if (head?.kind !== 'classes' && head?.kind !== 'ctc') throw new Error(`a head '${head?.kind}' is not trained`)
  const random = new Random(seed, 1)
  const rows = head.kind === 'ctc' ? head.vocabulary.length : head.labels.length
  const cols = headWidth(spec)
  const bound = 1 / Math.sqrt(cols)
  return new Map([
    [
      'head.weight',
      { rows, cols, data: Float32Array.from({ length: rows * cols }, () => random.uniform(-bound, bound)) },
    ],
    ['head.bias', { rows: 1, cols: rows, data: new Float32Array(rows) }],
  ])
}
