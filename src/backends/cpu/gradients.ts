import { exitCodes, UserError } from '../../errors.js'
import type { Activation, Gradients, Tensor } from '../backend.js'
import { groupsOf } from '../norm-groups.js'
import { poolingOrder, readingOrder } from '../segments.js'
import { attentionGradient } from './attention.js'
import { addRowsGradient, routeGradient } from './experts.js'
import { gatedDeltaGradient } from './gated-delta.js'
import { startWriting } from './lazy-zeros.js'
import type { Products } from './products.js'
import { rotateGradient } from './rotate.js'
import { s4dGradient } from './s4d.js'
import { s5Gradient } from './s5.js'
import { keptRows } from './scan.js'
import { selectiveScanGradient } from './scan-gradient.js'
import { firstRow, stepOf } from './segments.js'
import { ssdGradient } from './ssd.js'
import {
  at,
  type CpuTensor,
  columnsOf,
  cpu,
  expectContiguous,
  expectShape,
  freeTensor,
  type Machine,
  newTensor,
  own,
  rowByRow,
  withScratch,
} from './tensor.js'
import { trapezoidGradient } from './trapezoid.js'
import { turnsGradient } from './turns.js'
import { cpuUpdate } from './update.js'

/** What `accumulate` adds to its output, see kernels/rows-grad.ts. */
const hows = {
  d: 0,
  'd a': 1,
  'd silu(a)': 2,
  "d silu'(a)": 3,
  "d b silu'(a)": 4,
  'd sigmoid(a)': 5,
  "d b sigmoid'(a)": 6,
  "d gelu'(a)": 7,
  "d selu'(a)": 8,
} as const

/** The gradients of the cpu backend. Each adds to the given tensors, in an order that depends on the shapes alone. */
export function cpuGradients(machine: Machine, products: Products): Gradients {
  const { kernels, memory } = machine

  /** into += one of `hows`; no output, no work. */
  function add(how: keyof typeof hows, into: Tensor | null, d: Tensor, a?: Tensor, b?: Tensor): void {
    if (!into) return
    expectShape('gradient', d, into.rows, into.cols)
    expectShape('input', a, into.rows, into.cols)
    expectShape('input', b, into.rows, into.cols)
    const fresh = how === 'd' && startWriting(into)
    const [y, p, q, r] = [cpu(into), cpu(d), cpu(a ?? d), cpu(b ?? d)]
    if (fresh) {
      kernels.copyRows(rowByRow(p, y))
      return
    }
    kernels.accumulate({
      rows: y.rows,
      cols: y.cols,
      d: p.at,
      dStep: p.step,
      a: q.at,
      aStep: q.step,
      b: r.at,
      bStep: r.step,
      how: hows[how],
      into: y.at,
      intoStep: y.step,
    })
  }

  /** Adds every row of dy to one row. */
  function fold(dy: CpuTensor, into: Tensor | null): void {
    expectShape('dBias', into, 1, dy.cols)
    if (into) kernels.foldRows({ rows: dy.rows, cols: dy.cols, x: dy.at, xStep: dy.step, into: at(into) })
  }

  /** into += op(a) op(b) */
  async function addProduct(a: Tensor, transA: boolean, b: Tensor, into: Tensor | null): Promise<void> {
    if (!into) return
    const operands = { a: cpu(a), b: cpu(b), transA, transB: false }
    if (own(into).contiguous && into.rows > 1) {
      const addend = startWriting(into) ? null : cpu(into)
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
      kernels.scatterRows({
        count: rows.length,
        cols: y.cols,
        x: d.at,
        xStep: d.step,
        ids,
        into: y.at,
        intoStep: y.step,
      })
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
      for (const [from, to] of groupsOf(x.cols, spec.groups)) {
        const part = (whole: Tensor | null) => at(whole && columnsOf(whole, from, to))
        kernels.normGrad({
          rows: x.rows,
          cols: to - from,
          x: part(input),
          xStep: input.step,
          weight: part(weight),
          eps: spec.eps,
          center: spec.kind === 'layer' ? 1 : 0,
          dy: part(d),
          dyStep: d.step,
          dx: part(dx),
          dxStep: dx ? cpu(dx).step : 0,
          dWeight: part(dWeight),
          dBias: part(dBias),
        })
      }
    },

    causalConv(dy, x, weight, bias, { segments, direction, activation }, { dx, dWeight, dBias }) {
      const [d, input] = [cpu(dy), cpu(x)]
      const [K, E] = [weight.rows, x.cols]
      for (const one of [dy, dx]) expectShape('gradient', one, x.rows, E)
      for (const one of [weight, dWeight]) expectShape('conv weight', one, K, E)
      for (const one of [bias, dBias]) expectShape('conv bias', one, 1, E)
      expectContiguous('conv weight', weight)
      const fresh = dx !== null && startWriting(dx)
      const output = dx && cpu(dx)
      withScratch(machine, kernels.convGradScratch({ E, K }), (scratch) => {
        for (const part of readingOrder(segments, direction, x.rows)) {
          kernels.convGrad({
            rows: part.rows,
            E,
            K,
            x: firstRow(input, part, direction),
            xStep: stepOf(input, direction),
            weight: at(weight),
            bias: at(bias),
            activate: activation === 'silu' ? 1 : 0,
            dy: firstRow(d, part, direction),
            dyStep: stepOf(d, direction),
            dx: output ? firstRow(output, part, direction) : 0,
            dxStep: output ? stepOf(output, direction) : 0,
            fresh: fresh ? 1 : 0,
            dWeight: at(dWeight),
            dWeightStep: dWeight ? cpu(dWeight).step : 0,
            dBias: at(dBias),
            scratch,
          })
        }
      })
    },

    keptStates({ u, A_log, segments, direction }) {
      const rows = keptRows(machine, readingOrder(segments, direction, u.rows))
      return newTensor(machine, rows, u.cols * A_log.cols)
    },
    selectiveScan: (dy, args, into, dState) => selectiveScanGradient(machine, dy, args, into, dState),

    s4d: (dy, args, into) => s4dGradient(machine, dy, args, into),
    s5: (dy, args, into) => s5Gradient(machine, dy, args, into),
    ssd: (dy, args, into, ends) => ssdGradient(machine, dy, args, into, ends),
    gatedDelta: (dy, args, into) => gatedDeltaGradient(machine, dy, args, into),
    turns: (dy, args, into) => turnsGradient(machine, dy, args, into),
    trapezoid: (dy, args, into) => trapezoidGradient(machine, dy, args, into),

    attention: (dy, args, into) => attentionGradient(machine, dy, args, into),
    rotate: (dy, x, turns, heads, pairs, into) => rotateGradient(machine, dy, x, turns, heads, pairs, into),
    route: (dy, logits, active, over, dlogits) => routeGradient(machine, dy, logits, active, over, dlogits),
    addRows: (dy, x, rows, shares, into) => addRowsGradient(machine, dy, x, rows, shares, into),

    scale(dy, factor, dx) {
      expectShape('dx', dx, dy.rows, dy.cols)
      kernels.scaleRows({ ...rowByRow(cpu(dy), cpu(dx)), factor, add: 1 })
    },

    combine(dy, a, b, how, { da, db }) {
      if (how === 'add') {
        add('d', da, dy)
        add('d', db, dy)
      } else if (how === 'multiply') {
        add('d a', da, dy, b)
        add('d a', db, dy, a)
      } else if (how === 'glu') {
        add('d sigmoid(a)', da, dy, b)
        add("d b sigmoid'(a)", db, dy, b, a)
      } else {
        add('d silu(a)', da, dy, b)
        add("d b silu'(a)", db, dy, b, a)
      }
    },

    activate(dy, x, activation: Activation, dx) {
      if (activation === 'silu') add("d silu'(a)", dx, dy, x)
      else if (activation === 'gelu') add("d gelu'(a)", dx, dy, x)
      else if (activation === 'selu') add("d selu'(a)", dx, dy, x)
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
        kernels.foldWindows({
          rows: part.rows,
          cols: y.cols,
          d: from,
          dStep: d.step,
          window,
          stride,
          count: counts[s],
          into: firstRow(y, part, 'forward'),
          intoStep: y.step,
        })
        from += counts[s] * d.step
      })
    },

    pool(dy, x, segments, how, dx) {
      const [d, input, y] = [cpu(dy), cpu(x), cpu(dx)]
      expectShape('dx', y, x.rows, x.cols)
      const parts = poolingOrder(segments, x.rows)
      expectShape('dy', d, parts.length, x.cols)
      parts.forEach((part, s) => {
        const { rows } = part
        const [from, into] = [d.at + s * d.step, firstRow(y, part, 'forward')]
        const { cols, step: intoStep } = y
        if (how === 'mean') {
          kernels.spreadRow({ rows, cols, d: from, factor: 1 / rows, into, intoStep })
        } else if (how === 'last') {
          const last = into + (rows - 1) * intoStep
          kernels.spreadRow({ rows: 1, cols, d: from, factor: 1, into: last, intoStep })
        } else {
          const first = firstRow(input, part, 'forward')
          kernels.spreadToMax({ rows, cols, x: first, xStep: input.step, d: from, into, intoStep })
        }
      })
    },

    ...cpuUpdate(machine),
  }
}
