import type {
  Activation,
  AttentionArgs,
  AttentionCache,
  Backend,
  Combination,
  ConvArgs,
  GatedDeltaArgs,
  Gradients,
  GroupNorm,
  LinearOptions,
  Pairs,
  Pooling,
  S4dArgs,
  S5Args,
  ScanArgs,
  SsdArgs,
  Tensor,
  TrapezoidArgs,
  TrapezoidState,
  TurnsArgs,
} from '../backend.js'
import { groupsOf } from '../norm-groups.js'
import type { Segments } from '../segments.js'
import type { Weight } from '../weight.js'
import { attention } from './attention.js'
import { causalConv, unfold } from './conv.js'
import { addRows, route } from './experts.js'
import { gatedDelta } from './gated-delta.js'
import { cpuGradients } from './gradients.js'
import { type KernelSet, openKernels } from './kernels.js'
import { newZeros } from './lazy-zeros.js'
import { Memory } from './memory.js'
import { pool } from './pool.js'
import { type ProductEngine, Products } from './products.js'
import { rotate } from './rotate.js'
import { s4d } from './s4d.js'
import { s5 } from './s5.js'
import { selectiveScan } from './scan.js'
import { sharedProduct } from './shared-product.js'
import { ssd } from './ssd.js'
import {
  at,
  CpuTensor,
  columnsOf,
  cpu,
  expectContiguous,
  expectShape,
  freeTensor,
  type Machine,
  newTensor,
  numbers,
  own,
  rowByRow,
  SharedWeight,
  withScratch,
} from './tensor.js'
import { trapezoid } from './trapezoid.js'
import { turns } from './turns.js'

export interface CpuOptions {
  kernels?: KernelSet
  matrixProducts?: ProductEngine
  /**
   * Bytes of weights that are kept in this backend's own memory, widened, those that come first; the others are read from shared memory
   * every time. The results are the same. Default: all.
   */
  keptWeights?: number
}

/** Opens the backend on its own WebAssembly memory; several may live side by side. */
export async function openCpuBackend(options: CpuOptions = {}): Promise<CpuBackend> {
  const memory = new Memory()
  const { name, kernels } = openKernels(memory.wasm, options.kernels)
  const machine = { memory, kernels }
  return new CpuBackend(
    machine,
    name,
    await Products.open(machine, options.matrixProducts),
    options.keptWeights ?? Number.POSITIVE_INFINITY,
  )
}

const hows = { add: 0, multiply: 1, gate: 2, glu: 3 } as const

/** The default backend: our own SIMD kernels, and ONNX Runtime for wide matrix products, one thread. */
export class CpuBackend implements Backend {
  readonly name = 'cpu'
  readonly gradients: Gradients

  constructor(
    readonly machine: Machine,
    /** Which kernels run: plain SIMD, or relaxed SIMD with fused multiply-add. */
    readonly kernels: KernelSet,
    readonly products: Products,
    /** Bytes of weights that may still be kept. */
    private room: number,
  ) {
    this.gradients = cpuGradients(machine, products)
  }

  /** What multiplies matrices. */
  get matrixProducts(): ProductEngine {
    return this.products.engine
  }

  upload(data: ArrayLike<number>, rows: number, cols: number): Tensor {
    if (data.length !== rows * cols) throw new RangeError(`${data.length} numbers for a tensor [${rows}, ${cols}]`)
    const x = newTensor(this.machine, rows, cols)
    numbers(this.machine, x).set(data)
    return x
  }

  weight(weight: Weight): Tensor {
    const shared = new SharedWeight(this.machine, weight)
    const bytes = weight.rows * weight.cols * 4
    if (bytes > this.room) return shared
    this.room -= bytes
    return shared.all()
  }

  zeros(rows: number, cols: number): Tensor {
    return newZeros(this.machine, rows, cols)
  }

  write(tensor: Tensor, data: ArrayLike<number>): void {
    const x = cpu(tensor)
    expectContiguous('a tensor to write', x)
    if (data.length !== x.rows * x.cols)
      throw new RangeError(`${data.length} numbers for a tensor [${x.rows}, ${x.cols}]`)
    numbers(this.machine, x).set(data)
  }

  async download(tensor: Tensor): Promise<Float32Array> {
    const x = cpu(tensor)
    if (x.contiguous) return numbers(this.machine, x).slice()
    const out = new Float32Array(x.rows * x.cols)
    for (let t = 0; t < x.rows; t++) {
      out.set(new Float32Array(this.machine.memory.wasm.buffer, x.at + t * x.step, x.cols), t * x.cols)
    }
    return out
  }

  release(...tensors: (Tensor | null)[]): void {
    for (const x of tensors)
      if (x instanceof SharedWeight) x.release()
      else if (x) freeTensor(this.machine, own(x))
  }

  columns(x: Tensor, from: number, to: number): Tensor {
    return columnsOf(x, from, to)
  }

  rows(tensor: Tensor, from: number, to: number): Tensor {
    if (!(from >= 0 && from <= to && to <= tensor.rows)) throw new RangeError(`rows ${from} .. ${to} of ${tensor.rows}`)
    if (tensor instanceof SharedWeight) return tensor.part(from, to)
    const x = cpu(tensor)
    return new CpuTensor(x.at + from * x.step, to - from, x.cols, x.step, false)
  }

  reshape(tensor: Tensor, rows: number, cols: number): Tensor {
    const x = cpu(tensor)
    expectContiguous('a tensor to reshape', x)
    if (rows * cols !== x.rows * x.cols) throw new RangeError(`[${x.rows}, ${x.cols}] as [${rows}, ${cols}]`)
    return new CpuTensor(x.at, rows, cols, cols * 4, false)
  }

  async close(): Promise<void> {
    await this.products.close()
  }

  embedRows(ids: Int32Array, table: Tensor): Tensor {
    return this.gatherRows(table, ids)
  }

  gatherRows(tensor: Tensor, rows: Int32Array): Tensor {
    for (const row of rows) if (!(row >= 0 && row < tensor.rows)) throw new RangeError(`row ${row} of ${tensor.rows}`)
    if (tensor instanceof SharedWeight) return tensor.gather(rows)
    const x = cpu(tensor)
    const y = newTensor(this.machine, rows.length, x.cols)
    withScratch(this.machine, rows.length * 4, (ids) => {
      this.machine.memory.i32.set(rows, ids / 4)
      this.machine.kernels.gatherRows({ count: rows.length, cols: x.cols, x: x.at, xStep: x.step, ids, y: y.at })
    })
    return y
  }

  async linear(x: Tensor, weight: Tensor, options: LinearOptions = {}): Promise<Tensor> {
    const { bias = null, residual = null, activation = 'none' } = options
    expectShape('bias', bias, 1, weight.rows)
    expectShape('residual', residual, x.rows, weight.rows)
    // One addend rides along with the product: the bias, or else the residual when nothing comes between.
    const fused = bias ?? (activation === 'none' ? residual : null)
    const a = cpu(x)
    const addend = fused && cpu(fused)
    const y =
      weight instanceof SharedWeight
        ? await sharedProduct(this.machine, this.products, a, weight, addend)
        : await this.products.multiply({ a, b: cpu(weight), transA: false, transB: true, addend })
    if (activation === 'silu') this.machine.kernels.siluRows(rowByRow(y, y))
    if (activation === 'gelu') this.machine.kernels.geluRows(rowByRow(y, y))
    if (activation === 'selu') this.machine.kernels.seluRows(rowByRow(y, y))
    if (residual && residual !== fused) this.combineInto(y, residual, y, 'add')
    return y
  }

  norm(tensor: Tensor, spec: GroupNorm, weight: Tensor | null, bias: Tensor | null): Tensor {
    const x = cpu(tensor)
    expectShape('norm weight', weight, 1, x.cols)
    expectShape('norm bias', bias, 1, x.cols)
    const y = newTensor(this.machine, x.rows, x.cols)
    for (const [from, to] of groupsOf(x.cols, spec.groups)) {
      const part = (whole: Tensor | null) => at(whole && columnsOf(whole, from, to))
      this.machine.kernels.normRows({
        rows: x.rows,
        cols: to - from,
        x: part(x),
        xStep: x.step,
        weight: part(weight),
        bias: part(bias),
        eps: spec.eps,
        center: spec.kind === 'layer' ? 1 : 0,
        y: part(y),
        yStep: y.step,
      })
    }
    return y
  }

  causalConv(x: Tensor, weight: Tensor, bias: Tensor | null, args: ConvArgs): Tensor {
    return causalConv(this.machine, x, weight, bias, args)
  }

  selectiveScan(args: ScanArgs, state: Tensor | null, addTo?: Tensor): Tensor {
    return selectiveScan(this.machine, args, state, addTo)
  }

  s4d(args: S4dArgs, state: Tensor | null): Tensor {
    return s4d(this.machine, args, state)
  }

  s5(args: S5Args, state: Tensor | null): Tensor {
    return s5(this.machine, args, state)
  }

  ssd(args: SsdArgs, state: Tensor | null): Tensor {
    return ssd(this.machine, args, state)
  }

  gatedDelta(args: GatedDeltaArgs, state: Tensor | null): Tensor {
    return gatedDelta(this.machine, args, state)
  }

  turns(args: TurnsArgs, state: Tensor | null): Tensor {
    return turns(this.machine, args, state)
  }

  trapezoid(args: TrapezoidArgs, state: TrapezoidState | null): Tensor {
    return trapezoid(this.machine, args, state)
  }

  attention(args: AttentionArgs, cache: AttentionCache | null): Tensor {
    return attention(this.machine, args, cache)
  }

  rotate(x: Tensor, turns: Tensor, heads: number, pairs: Pairs): Tensor {
    return rotate(this.machine, x, turns, heads, pairs)
  }

  route(logits: Tensor, active: number, over: 'active' | 'all'): Tensor {
    return route(this.machine, logits, active, over)
  }

  addRows(y: Tensor, x: Tensor, rows: Int32Array, shares: Tensor): void {
    addRows(this.machine, y, x, rows, shares)
  }

  scale(tensor: Tensor, factor: number): Tensor {
    const x = cpu(tensor)
    const y = newTensor(this.machine, x.rows, x.cols)
    this.machine.kernels.scaleRows({ ...rowByRow(x, y), factor, add: 0 })
    return y
  }

  combine(a: Tensor, b: Tensor, how: Combination): Tensor {
    expectShape('b', b, a.rows, a.cols)
    const y = newTensor(this.machine, a.rows, a.cols)
    this.combineInto(a, b, y, how)
    return y
  }

  activate(tensor: Tensor, activation: Activation): Tensor {
    const x = cpu(tensor)
    const y = newTensor(this.machine, x.rows, x.cols)
    const { kernels } = this.machine
    if (activation === 'silu') kernels.siluRows(rowByRow(x, y))
    else if (activation === 'gelu') kernels.geluRows(rowByRow(x, y))
    else if (activation === 'selu') kernels.seluRows(rowByRow(x, y))
    else kernels.copyRows(rowByRow(x, y))
    return y
  }

  unfold(tensor: Tensor, window: number, stride: number, segments: Segments, state: Tensor | null): Tensor {
    return unfold(this.machine, tensor, window, stride, segments, state)
  }

  pool(x: Tensor, segments: Segments, how: Pooling, carry: Tensor | null): Tensor {
    return pool(this.machine, x, segments, how, carry)
  }

  private combineInto(a: Tensor, b: Tensor, y: Tensor, how: Combination): void {
    const [p, q, r] = [cpu(a), cpu(b), cpu(y)]
    this.machine.kernels.combineRows({
      rows: r.rows,
      cols: r.cols,
      a: p.at,
      aStep: p.step,
      b: q.at,
      bStep: q.step,
      how: hows[how],
      y: r.at,
      yStep: r.step,
    })
  }
}
