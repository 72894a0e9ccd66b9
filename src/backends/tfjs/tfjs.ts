import type { Tensor2D } from '@tensorflow/tfjs-core'
import type { Backend, Tensor } from '../backend.js'
import { widened } from '../weight.js'
import { attention } from './attention.js'
import { activated, combined, normalised } from './elementwise.js'
import { route, spread } from './experts.js'
import { gatedDelta } from './gated-delta.js'
import { type Held, held, Owned, Reshaped, Slice } from './held.js'
import { loadTfjs } from './load.js'
import { causalConv, unfold } from './lookback.js'
import { pool } from './pool.js'
import { rowsAt } from './reading.js'
import { rotate } from './rotate.js'
import { s4d } from './s4d.js'
import { s5 } from './s5.js'
import { selectiveScan } from './scan.js'
import { ssd } from './ssd.js'
import { trapezoid } from './trapezoid.js'
import { turns } from './turns.js'

export interface TfjsOptions {
  /** States that a scan holds at a time, in numbers of a tensor, of which it makes about ten; default: 16 MiB of them. */
  tileNumbers?: number
}

/**
 * Every operation composed of those of TensorFlow.js, in float32; no gradients. From run to run the bytes are the same; across
 * cuts they are not, because rows are summed up in another order. Errors: UserError with exit code 69 where TensorFlow.js does not run.
 */
export async function openTfjsBackend({ tileNumbers = 2 ** 22 }: TfjsOptions = {}): Promise<Backend> {
  const { tf } = await loadTfjs()
  const live = new Set<Owned>()

  /** Keeps what `compute` returns, and disposes of all that it made on the way. */
  function make(compute: () => Tensor2D): Owned {
    const made = new Owned(tf, tf.tidy(compute))
    live.add(made)
    return made
  }
  function fromHost(data: ArrayLike<number>, rows: number, cols: number): Tensor2D {
    if (data.length !== rows * cols) throw new Error(`${data.length} numbers for a tensor [${rows}, ${cols}]`)
    return tf.tensor2d(new Float32Array(data), [rows, cols])
  }
  function takeRows(x: Held, rows: Int32Array): Owned {
    expectRows(x, rows)
    return make(() => rowsAt(tf, x.read(), rows))
  }
  const optional = (x: Tensor | null | undefined, rows: number, cols: number) => (x ? held(x, rows, cols) : null)
  const dispose = (x: Owned) => {
    x.dispose()
    live.delete(x)
  }

  return {
    name: 'tfjs',
    upload: (data, rows, cols) => make(() => fromHost(data, rows, cols)),
    weight: (weight) => make(() => fromHost(widened(weight), weight.rows, weight.cols)),
    zeros: (rows, cols) => make(() => tf.zeros([rows, cols])),
    write: (x, data) => tf.tidy(() => held(x).replace(fromHost(data, x.rows, x.cols))),
    download: async (x) => {
      const whole = tf.tidy(() => tf.clone(held(x).read()))
      const numbers = await whole.data<'float32'>()
      whole.dispose()
      return numbers.slice()
    },
    release: (...tensors) => {
      for (const x of tensors) if (x instanceof Owned) dispose(x)
    },
    columns: (x, from, to) => {
      if (!(from >= 0 && from <= to && to <= x.cols)) throw new RangeError(`columns ${from} to ${to} of ${x.cols}`)
      return new Slice(tf, held(x), 1, from, to)
    },
    rows: (x, from, to) => {
      if (!(from >= 0 && from <= to && to <= x.rows)) throw new RangeError(`rows ${from} to ${to} of ${x.rows}`)
      return new Slice(tf, held(x), 0, from, to)
    },
    reshape: (x, rows, cols) => {
      if (rows * cols !== x.rows * x.cols) throw new Error(`[${x.rows}, ${x.cols}] as [${rows}, ${cols}]`)
      return new Reshaped(tf, held(x), rows, cols)
    },
    close: async () => {
      for (const x of live) dispose(x)
    },

    embedRows: (ids, table) => takeRows(held(table), ids),
    linear: async (x, weight, { bias, residual, activation = 'none' } = {}) =>
      make(() => {
        const product = tf.matMul(held(x).read(), held(weight, weight.rows, x.cols).read(), false, true) as Tensor2D
        const sum: Tensor2D = bias ? tf.add(product, held(bias, 1, weight.rows).read()) : product
        const y = activated(tf, sum, activation)
        return residual ? tf.add(y, held(residual, x.rows, weight.rows).read()) : y
      }),
    norm: (x, spec, weight, bias) =>
      make(() => {
        const [w, b] = [weight, bias].map((row) => optional(row, 1, x.cols)?.read() ?? null)
        return normalised(tf, held(x).read(), spec, w, b)
      }),
    causalConv: (x, weight, bias, args) => {
      const state = args.state && held(args.state, args.state.rows, x.cols)
      const taps = held(weight, weight.rows, x.cols)
      return make(() => causalConv(tf, held(x), taps, optional(bias, 1, x.cols), args, state))
    },
    selectiveScan: (args, state, addTo) => {
      const gated = () => {
        const y = selectiveScan(tf, args, state && held(state, state.rows, args.A_log.cols), tileNumbers)
        return args.z ? combined(tf, y, held(args.z, args.u.rows, args.u.cols).read(), 'gate') : y
      }
      if (!addTo) return make(gated)
      const sum = held(addTo, args.u.rows, args.u.cols)
      tf.tidy(() => sum.replace(tf.add(sum.read(), gated())))
      return addTo
    },
    s4d: (args, state) =>
      make(() => s4d(tf, args, state && held(state, state.rows, 2 * args.A_imag.cols), tileNumbers)),
    s5: (args, state) => make(() => s5(tf, args, state && held(state, state.rows, 2), tileNumbers)),
    ssd: (args, state) =>
      make(() => ssd(tf, args, state && held(state, state.rows, args.B.cols / args.groups), tileNumbers)),
    gatedDelta: (args, state) =>
      make(() => gatedDelta(tf, args, state && held(state, state.rows, args.v.cols / args.dt.cols), tileNumbers)),
    turns: (args, state) => make(() => turns(tf, args, state && held(state, state.rows, args.pairs), tileNumbers)),
    trapezoid: (args, state) => make(() => trapezoid(tf, args, state, tileNumbers)),
    attention: (args, cache) => make(() => attention(tf, args, cache, tileNumbers)),
    rotate: (x, turns, heads, pairs) => make(() => rotate(tf, x, turns, heads, pairs)),
    route: (logits, active, over) => make(() => route(tf, held(logits).read(), active, over)),
    addRows: (y, x, rows, shares) => {
      expectRows(y, rows)
      const [into, given, of] = [held(y), held(x, rows.length, y.cols), held(shares, y.rows, 1)]
      tf.tidy(() => into.replace(tf.add(into.read(), spread(tf, given.read(), rows, of.read()))))
    },
    scale: (x, factor) => make(() => tf.mul(held(x).read(), factor)),
    combine: (a, b, how) => make(() => combined(tf, held(a).read(), held(b, a.rows, a.cols).read(), how)),
    activate: (x, activation) => make(() => tf.clone(activated(tf, held(x).read(), activation))),
    unfold: (x, window, stride, segments, state) =>
      make(() => unfold(tf, held(x), window, stride, segments, optional(state, state?.rows ?? 0, x.cols))),
    gatherRows: (x, rows) => takeRows(held(x), rows),
    pool: (x, segments, how, carry) =>
      make(() => pool(tf, held(x), segments, how, optional(carry, carry?.rows ?? 0, 2 * x.cols))),
  }
}

function expectRows(x: Tensor, rows: Int32Array): void {
  for (const row of rows) if (!(row >= 0 && row < x.rows)) throw new RangeError(`row ${row} of ${x.rows}`)
}
