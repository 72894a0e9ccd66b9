import { exitCodes, UserError } from '../../errors.js'
import type { Activation, Gradients, Tensor } from '../backend.js'
import { poolingOrder, readingOrder } from '../segments.js'
import { startBlank } from './blank.js'
import type { Products } from './products.js'
import { keptRows } from './scan.js'
import { selectiveScanGradient } from './scan-gradient.js'
import { firstRow, stepOf } from './segments.js'
import {
  at,
  type CpuTensor,
  cpu,
  expectContiguous,
  expectShape,
  freeTensor,
  type Machine,
  newTensor,
  own,
  withScratch,
} from './tensor.js'

/** What `accumulate` adds to its output, see kernels/rows-grad.ts. */
const hows = { d: 0, 'd a': 1, 'd silu(a)': 2, "d silu'(a)": 3, "d b silu'(a)": 4 } as const

/** The gradients of the cpu backend. Each adds to the given tensors, in an order that depends on the shapes alone. */
export function cpuGradients(machine: Machine, products: Products): Gradients {
  const { kernels, memory } = machine

  /** into += one of `hows`; no output, no work. */
  function add(how: keyof typeof hows, into: Tensor | null, d: Tensor, a?: Tensor, b?: Tensor): void {
    if (!into) return
    expectShape('gradient', d, into.rows, into.cols)
    expectShape('input', a, into.rows, into.cols)
    expectShape('input', b, into.rows, into.cols)
    const fresh = how === 'd' && startBlank(into)
    const [y, p, q, r] = [cpu(into), cpu(d), cpu(a ?? d), cpu(b ?? d)]
    if (fresh) kernels.copyRows(y.rows, y.cols, p.at, p.step, y.at, y.step)
    else kernels.accumulate(y.rows, y.cols, p.at, p.step, q.at, q.step, r.at, r.step, hows[how], y.at, y.step)
  }

  /** Adds every row of dy to one row. */
  function fold(dy: CpuTensor, into: Tensor | null): void {
    expectShape('dBias', into, 1, dy.cols)
    if (into) kernels.foldRows(dy.rows, dy.cols, dy.at, dy.step, at(into))
  }

  /** into += op(a) op(b) */
  async function addProduct(a: Tensor, transA: boolean, b: Tensor, into: Tensor | null): Promise<void> {
    if (!into) return
    const operands = { a: cpu(a), b: cpu(b), transA, transB: false }
    if (own(into).contiguous && into.rows > 1) {
      const addend = startBlank(into) ? null : cpu(into)
      await products.multiply({ ...operands, addend, into: cpu(into) })
      return
    }
    const product = await products.multiply({ ...operands, addend: null })
    add('d', into, product)
    freeTensor(machine, product)
  }

  function scatter(dy: Tensor, rows: Int32Array, into: Tensor): void {
    const [d, y] = [cpu(dy), cpu(into)]
    expectShape('dy', d, rows.length, y.cols)
    const wrong = rows.find((row) => !(row >= 0 && row < y.rows))
    if (wrong !== undefined) throw new UserError(`row ${wrong} of a table with ${y.rows} rows`, exitCodes.data)
    withScratch(machine, rows.length * 4, (ids) => {
      memory.i32.set(rows, ids / 4)
      kernels.scatterRows(rows.length, y.cols, d.at, d.step, ids, y.at, y.step)
    })
  }

  return {
    embedRows: scatter,
    gatherRows: scatter,

    async linear(dy, x, weight, { dx, dWeight, dBias }) {
      expectShape('dy', dy, x.rows, weight.rows)
      fold(cpu(dy), dBias)
      await addProduct(dy, false, weight, dx)
      await addProduct(dy, true, x, dWeight)
    },

    norm(dy, x, spec, weight, { dx, dWeight, dBias }) {
      const [d, input] = [cpu(dy), cpu(x)]
      for (const one of [dy, dx]) expectShape('gradient', one, x.rows, x.cols)
      for (const one of [weight, dWeight, dBias]) expectShape('norm parameter', one, 1, x.cols)
      const center = spec.kind === 'layer' ? 1 : 0
      const inputs = [input.at, input.step, at(weight), spec.eps, center, d.at, d.step]
      kernels.normGrad(x.rows, x.cols, ...inputs, ...place(dx), at(dWeight), at(dBias))
    },

    causalConv(dy, x, weight, bias, { segments, direction, activation }, { dx, dWeight, dBias }) {
      const [d, input] = [cpu(dy), cpu(x)]
      const [K, E] = [weight.rows, x.cols]
      for (const one of [dy, dx]) expectShape('gradient', one, x.rows, E)
      for (const one of [weight, dWeight]) expectShape('conv weight', one, K, E)
      for (const one of [bias, dBias]) expectShape('conv bias', one, 1, E)
      expectContiguous('conv weight', weight)
      const fresh = dx !== null && startBlank(dx)
      withScratch(machine, kernels.convGradScratch(E, K), (scratch) => {
        for (const part of readingOrder(segments, direction, x.rows)) {
          const rowsOf = (y: CpuTensor | null) => (y ? [firstRow(y, part, direction), stepOf(y, direction)] : [0, 0])
          const parameters = [at(weight), at(bias), activation === 'silu' ? 1 : 0]
          const outputs = [...rowsOf(dx && cpu(dx)), fresh ? 1 : 0, ...place(dWeight), at(dBias)]
          kernels.convGrad(part.rows, E, K, ...rowsOf(input), ...parameters, ...rowsOf(d), ...outputs, scratch)
        }
      })
    },

    keptStates({ u, A_log, segments, direction }) {
      const rows = keptRows(machine, readingOrder(segments, direction, u.rows))
      return newTensor(machine, rows, u.cols * A_log.cols)
    },
    selectiveScan: (dy, args, into, dState) => selectiveScanGradient(machine, dy, args, into, dState),

    combine(dy, a, b, how, { da, db }) {
      if (how === 'add') {
        add('d', da, dy)
        add('d', db, dy)
      } else if (how === 'multiply') {
        add('d a', da, dy, b)
        add('d a', db, dy, a)
      } else {
        add('d silu(a)', da, dy, b)
        add("d b silu'(a)", db, dy, b, a)
      }
    },

    activate(dy, x, activation: Activation, dx) {
      if (activation === 'silu') add("d silu'(a)", dx, dy, x)
      else add('d', dx, dy)
    },

    unfold(dy, window, stride, segments, dx) {
      const [d, y] = [cpu(dy), cpu(dx)]
      const parts = readingOrder(segments, 'forward', y.rows)
      const counts = parts.map(({ rows }) => Math.ceil(rows / stride))
      const total = counts.reduce((sum, count) => sum + count, 0)
      expectShape('dy', d, total, window * y.cols)
      let from = d.at
      parts.forEach((part, s) => {
        const to = firstRow(y, part, 'forward')
        kernels.foldWindows(part.rows, y.cols, from, d.step, window, stride, counts[s], to, y.step)
        from += counts[s] * d.step
      })
    },

    pool(dy, x, segments, how, dx) {
      const [d, input, y] = [cpu(dy), cpu(x), cpu(dx)]
      expectShape('dx', y, x.rows, x.cols)
      const parts = poolingOrder(segments, x.rows)
      expectShape('dy', d, parts.length, x.cols)
      parts.forEach((part, s) => {
        const from = d.at + s * d.step
        const to = firstRow(y, part, 'forward')
        if (how === 'mean') kernels.spreadRow(part.rows, y.cols, from, 1 / part.rows, to, y.step)
        else if (how === 'last') kernels.spreadRow(1, y.cols, from, 1, to + (part.rows - 1) * y.step, y.step)
        else kernels.spreadToMax(part.rows, y.cols, firstRow(input, part, 'forward'), input.step, from, to, y.step)
      })
    },

    adamw(param, grad, m, v, { lr, beta1, beta2, eps, weightDecay, step, scale }) {
      for (const one of [grad, m, v]) expectShape('adamw operand', one, param.rows, param.cols)
      const tensors = [param, grad, m, v].flatMap(place)
      const averages = [beta1, 1 - beta1, beta2, 1 - beta2]
      const corrections = [1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step)]
      const rest = [lr, ...averages, eps, lr * weightDecay, ...corrections, scale]
      kernels.adamw(param.rows, param.cols, ...tensors, ...rest)
    },
  }
}

/** Address and step of an optional tensor. */
const place = (x: Tensor | null): [at: number, step: number] => (x ? [cpu(x).at, cpu(x).step] : [0, 0])
