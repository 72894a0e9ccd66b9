import type {
  Activation,
  AttentionArgs,
  AttentionCache,
  Backend,
  Combination,
  ConvArgs,
  FloatArray,
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
} from '../backends/backend.js'
import type { Segments } from '../backends/segments.js'
import type { Weight } from '../backends/weight.js'
import { exitCodes, UserError } from '../errors.js'
import type { Random } from '../runtime/random.js'

interface Step {
  /** Whose gradient the step reads. */
  output: Tensor
  /** Base tensors whose values the step reads. */
  saved: Tensor[]
  /** The step made its output (an accumulating scan did not): the gradient is spent after it. */
  owns: boolean
  backward(dy: Tensor): void | Promise<void>
}

interface View {
  parent: Tensor
  /** The same view on another tensor of the parent's shape. */
  of(tensor: Tensor): Tensor
}

/**
 * A backend that remembers: every forward operation runs on the backend inside and, where a parameter has a part in
 * it, leaves the step that takes the gradient of its result to the gradients of its inputs. Layers run on it
 * unchanged. `release` waits until no step needs the value, so each activation is freed as early as can be.
 *
 * Whole segments only, no carried state. One tape serves one forward and one backward pass.
 */
export class Tape implements Backend {
  readonly name: Backend['name']
  readonly #backend: Backend
  readonly #gradients: Gradients
  readonly #parameters: ReadonlyMap<Tensor, Tensor>
  readonly #branchDropout: { p: number; random: Random } | null
  #steps: Step[] = []
  /** Gradients of base tensors, made (zero) when first asked for. */
  readonly #grads = new Map<Tensor, Tensor>()
  readonly #views = new Map<Tensor, View>()
  readonly #tracked = new Set<Tensor>()
  /** How many steps need the value of a base tensor. */
  readonly #uses = new Map<Tensor, number>()
  readonly #released = new Set<Tensor>()

  /**
   * parameters: each trainable weight and the tensor its gradient is added to.
   * branchDropout: dropout on what a block adds to its residual stream (every `linear` with a residual).
   * goOn: asked at every step, forwards and backwards; it throws where the pass is given up.
   */
  constructor(
    backend: Backend,
    parameters: ReadonlyMap<Tensor, Tensor>,
    branchDropout: { p: number; random: Random } | null = null,
    private readonly goOn: () => void = () => {},
  ) {
    if (!backend.gradients)
      throw new UserError(`the device ${backend.name} cannot train: it has no gradients`, exitCodes.unavailable)
    this.name = backend.name
    this.#backend = backend
    this.#gradients = backend.gradients
    this.#parameters = parameters
    this.#branchDropout = branchDropout && branchDropout.p > 0 ? branchDropout : null
  }

  upload(data: ArrayLike<number>, rows: number, cols: number): Tensor {
    return this.#backend.upload(data, rows, cols)
  }

  weight(weight: Weight, name: string): Tensor {
    return this.#backend.weight(weight, name)
  }

  zeros(rows: number, cols: number): Tensor {
    return this.#backend.zeros(rows, cols)
  }

  write(x: Tensor, data: ArrayLike<number>): void {
    this.#backend.write(x, data)
  }

  download(x: Tensor): Promise<FloatArray> {
    return this.#backend.download(x)
  }

  release(...tensors: (Tensor | null)[]): void {
    for (const t of tensors) {
      if (!t || this.#views.has(t)) continue
      if (this.#uses.has(t)) this.#released.add(t)
      else this.#backend.release(t)
    }
  }

  columns(x: Tensor, from: number, to: number): Tensor {
    return this.#view(x, (t) => this.#backend.columns(t, from, to))
  }

  rows(x: Tensor, from: number, to: number): Tensor {
    return this.#view(x, (t) => this.#backend.rows(t, from, to))
  }

  reshape(x: Tensor, rows: number, cols: number): Tensor {
    return this.#view(x, (t) => this.#backend.reshape(t, rows, cols))
  }

  async close(): Promise<void> {
    throw new Error('a tape is dropped, its backend is closed')
  }

  embedRows(ids: Int32Array, table: Tensor): Tensor {
    const y = this.#backend.embedRows(ids, table)
    return this.#record(y, [table], [], (dy) => this.#gradients.embedRows(dy, ids, this.#grad(table)!))
  }

  async linear(x: Tensor, weight: Tensor, options: LinearOptions = {}): Promise<Tensor> {
    const { bias = null, residual = null, activation = 'none' } = options
    if (activation !== 'none' || (residual && this.#branchDropout)) {
      let y = await this.linear(x, weight, { bias })
      if (activation !== 'none') y = this.#then(y, this.activate(y, activation))
      if (residual && this.#branchDropout)
        y = this.#then(y, this.dropout(y, this.#branchDropout.p, this.#branchDropout.random))
      return residual ? this.#then(y, this.combine(y, residual, 'add')) : y
    }
    const y = await this.#backend.linear(x, weight, { bias, residual })
    return this.#record(y, [x, weight, bias, residual], [x, weight], async (dy) => {
      const into = { dx: this.#grad(x), dWeight: this.#grad(weight), dBias: this.#grad(bias) }
      await this.#gradients.linear(dy, x, weight, into)
      if (residual) this.#handOn(y, residual)
    })
  }

  norm(x: Tensor, spec: GroupNorm, weight: Tensor | null, bias: Tensor | null): Tensor {
    const y = this.#backend.norm(x, spec, weight, bias)
    return this.#record(y, [x, weight, bias], [x, weight], (dy) => {
      const into = { dx: this.#grad(x), dWeight: this.#grad(weight), dBias: this.#grad(bias) }
      this.#gradients.norm(dy, x, spec, weight, into)
    })
  }

  causalConv(x: Tensor, weight: Tensor, bias: Tensor | null, args: ConvArgs): Tensor {
    expectWhole(args.segments)
    const y = this.#backend.causalConv(x, weight, bias, args)
    return this.#record(y, [x, weight, bias], [x, weight, bias], (dy) => {
      const into = { dx: this.#grad(x), dWeight: this.#grad(weight), dBias: this.#grad(bias) }
      this.#gradients.causalConv(dy, x, weight, bias, args, into)
    })
  }

  selectiveScan(args: ScanArgs, state: Tensor | null, addTo?: Tensor): Tensor {
    expectWhole(args.segments)
    const { u, dt, A_log, B, C, D, z, dtBias } = args
    const inputs = [u, dt, A_log, B, C, D, z, dtBias]
    const kept = this.#learns(inputs) ? this.#gradients.keptStates(args) : null
    const y = this.#backend.selectiveScan({ ...args, kept }, state, addTo)
    const backward = (dy: Tensor) => {
      const into = {
        du: this.#grad(u),
        ddt: this.#grad(dt),
        dA_log: this.#grad(A_log),
        dB: this.#grad(B),
        dC: this.#grad(C),
        dD: this.#grad(D),
        dz: this.#grad(z),
        ddtBias: this.#grad(dtBias),
      }
      this.#gradients.selectiveScan(dy, { ...args, kept }, into, null)
    }
    // The gradient of what was added to passes through unchanged: it is the same tensor, so it is left in place.
    this.#record(addTo ?? y, inputs, [...inputs, kept], backward, addTo === undefined)
    this.release(kept)
    return y
  }

  s4d(args: S4dArgs, state: Tensor | null): Tensor {
    expectWhole(args.segments)
    const { u, log_dt, log_A_real, A_imag, C, D } = args
    const inputs = [u, log_dt, log_A_real, A_imag, C, D]
    return this.#record(this.#backend.s4d(args, state), inputs, inputs, (dy) => {
      this.#gradients.s4d(dy, args, {
        du: this.#grad(u),
        dlog_dt: this.#grad(log_dt),
        dlog_A_real: this.#grad(log_A_real),
        dA_imag: this.#grad(A_imag),
        dC: this.#grad(C),
        dD: this.#grad(D),
      })
    })
  }

  s5(args: S5Args, state: Tensor | null): Tensor {
    expectWhole(args.segments)
    const { u, Lambda, log_step } = args
    const inputs = [u, Lambda, log_step]
    return this.#record(this.#backend.s5(args, state), inputs, inputs, (dy) => {
      this.#gradients.s5(dy, args, { du: this.#grad(u), dLambda: this.#grad(Lambda), dlog_step: this.#grad(log_step) })
    })
  }

  ssd(args: SsdArgs, state: Tensor | null): Tensor {
    expectWhole(args.segments)
    const { x, dt, A_log, B, C, D, dtBias } = args
    const inputs = [x, dt, A_log, B, C, D, dtBias]
    return this.#record(this.#backend.ssd(args, state), inputs, inputs, (dy) => {
      this.#gradients.ssd(dy, args, {
        dx: this.#grad(x),
        ddt: this.#grad(dt),
        dA_log: this.#grad(A_log),
        dB: this.#grad(B),
        dC: this.#grad(C),
        dD: this.#grad(D),
        ddtBias: this.#grad(dtBias),
      })
    })
  }

  gatedDelta(args: GatedDeltaArgs, state: Tensor | null): Tensor {
    expectWhole(args.segments)
    const { q, k, v, dt, beta, A_log, dtBias } = args
    const inputs = [q, k, v, dt, beta, A_log, dtBias]
    return this.#record(this.#backend.gatedDelta(args, state), inputs, inputs, (dy) => {
      this.#gradients.gatedDelta(dy, args, {
        dq: this.#grad(q),
        dk: this.#grad(k),
        dv: this.#grad(v),
        ddt: this.#grad(dt),
        dbeta: this.#grad(beta),
        dA_log: this.#grad(A_log),
        ddtBias: this.#grad(dtBias),
      })
    })
  }

  turns(args: TurnsArgs, state: Tensor | null): Tensor {
    expectWhole(args.segments)
    const { angles, dt, dtBias } = args
    const inputs = [angles, dt, dtBias]
    return this.#record(this.#backend.turns(args, state), inputs, inputs, (dy) => {
      this.#gradients.turns(dy, args, { dangles: this.#grad(angles), ddt: this.#grad(dt), ddtBias: this.#grad(dtBias) })
    })
  }

  trapezoid(args: TrapezoidArgs, state: TrapezoidState | null): Tensor {
    expectWhole(args.segments)
    const { v, k, q, dt, A, trap, D, dtBias } = args
    const inputs = [v, k, q, dt, A, trap, D, dtBias]
    return this.#record(this.#backend.trapezoid(args, state), inputs, inputs, (dy) => {
      this.#gradients.trapezoid(dy, args, {
        dv: this.#grad(v),
        dk: this.#grad(k),
        dq: this.#grad(q),
        ddt: this.#grad(dt),
        dA: this.#grad(A),
        dtrap: this.#grad(trap),
        dD: this.#grad(D),
        ddtBias: this.#grad(dtBias),
      })
    })
  }

  attention(args: AttentionArgs, cache: AttentionCache | null): Tensor {
    expectWhole(args.segments)
    const { q, k, v } = args
    return this.#record(this.#backend.attention(args, cache), [q, k, v], [q, k, v], (dy) => {
      this.#gradients.attention(dy, args, { dq: this.#grad(q), dk: this.#grad(k), dv: this.#grad(v) })
    })
  }

  rotate(x: Tensor, turns: Tensor, heads: number, pairs: Pairs): Tensor {
    const y = this.#backend.rotate(x, turns, heads, pairs)
    const values = this.#learns([turns]) ? [x, turns] : [turns]
    return this.#record(y, [x, turns], values, (dy) =>
      this.#gradients.rotate(dy, x, turns, heads, pairs, { dx: this.#grad(x), dturns: this.#grad(turns) }),
    )
  }

  route(logits: Tensor, active: number, over: 'active' | 'all'): Tensor {
    const shares = this.#backend.route(logits, active, over)
    return this.#record(shares, [logits], [logits], (dy) =>
      this.#gradients.route(dy, logits, active, over, this.#grad(logits)!),
    )
  }

  addRows(y: Tensor, x: Tensor, rows: Int32Array, shares: Tensor): void {
    this.#backend.addRows(y, x, rows, shares)
    const backward = (dy: Tensor) =>
      this.#gradients.addRows(dy, x, rows, shares, { dx: this.#grad(x), dshares: this.#grad(shares) })
    // The gradient of what was added to passes through unchanged: it is the same tensor, so it is left in place.
    this.#record(y, [x, shares], [x, shares], backward, false)
  }

  scale(x: Tensor, factor: number): Tensor {
    const y = this.#backend.scale(x, factor)
    return this.#record(y, [x], [], (dy) => this.#gradients.scale(dy, factor, this.#grad(x)!))
  }

  combine(a: Tensor, b: Tensor, how: Combination): Tensor {
    const y = this.#backend.combine(a, b, how)
    return this.#record(y, [a, b], how === 'add' ? [] : [a, b], (dy) => {
      const into = { da: this.#grad(a), db: this.#grad(b) }
      // A sum needs no values; a and b may be gone by now.
      if (how === 'add') this.#gradients.combine(dy, dy, dy, how, into)
      else this.#gradients.combine(dy, a, b, how, into)
    })
  }

  activate(x: Tensor, activation: Activation): Tensor {
    const y = this.#backend.activate(x, activation)
    return this.#record(y, [x], [x], (dy) => this.#gradients.activate(dy, x, activation, this.#grad(x)!))
  }

  unfold(x: Tensor, window: number, stride: number, segments: Segments, state: Tensor | null): Tensor {
    expectWhole(segments)
    const y = this.#backend.unfold(x, window, stride, segments, state)
    return this.#record(y, [x], [], (dy) => this.#gradients.unfold(dy, window, stride, segments, this.#grad(x)!))
  }

  gatherRows(x: Tensor, rows: Int32Array): Tensor {
    const y = this.#backend.gatherRows(x, rows)
    return this.#record(y, [x], [], (dy) => this.#gradients.gatherRows(dy, rows, this.#grad(x)!))
  }

  pool(x: Tensor, segments: Segments, how: Pooling, carry: Tensor | null): Tensor {
    expectWhole(segments)
    const y = this.#backend.pool(x, segments, how, carry)
    return this.#record(y, [x], [x], (dy) => this.#gradients.pool(dy, x, segments, how, this.#grad(x)!))
  }

  /** x with a share p of its numbers set to zero and the others grown by 1 / (1 - p). */
  dropout(x: Tensor, p: number, random: Random): Tensor {
    const mask = new Float32Array(x.rows * x.cols)
    const limit = Math.round(p * 2 ** 16)
    const factor = Float32Array.of(1 / (1 - p), 0)
    const draws = new Uint16Array(random.uint32s(Math.ceil(mask.length / 2)).buffer)
    for (let i = 0; i < mask.length; i++) mask[i] = factor[(draws[i] - limit) >>> 31] // no branch: unpredictable
    const factors = this.#backend.upload(mask, x.rows, x.cols)
    const y = this.combine(x, factors, 'multiply')
    this.release(factors)
    return y
  }

  /**
   * Adds the gradient of every parameter, given the gradient of `output`; frees all that the tape holds, dOutput too.
   */
  async backward(output: Tensor, dOutput: Tensor): Promise<void> {
    this.#grads.set(output, dOutput)
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      this.goOn()
      const base = this.#base(step.output)
      if (this.#grads.has(base)) await step.backward(this.#grad(step.output)!)
      for (const t of step.saved) this.#forget(t)
      if (step.owns) this.#dropGradient(base)
    }
    for (const t of [...this.#grads.keys()]) this.#dropGradient(t)
  }

  /** A result that took the place of another: the old one goes when no step needs it. */
  #then(old: Tensor, result: Tensor): Tensor {
    this.release(old)
    return result
  }

  #view(x: Tensor, of: View['of']): Tensor {
    const view = of(x)
    this.#views.set(view, { parent: x, of })
    return view
  }

  #base(x: Tensor): Tensor {
    let base = x
    for (let view = this.#views.get(base); view; view = this.#views.get(base)) base = view.parent
    return base
  }

  #isTracked(x: Tensor): boolean {
    const base = this.#base(x)
    return this.#parameters.has(base) || this.#tracked.has(base)
  }

  /** The gradient of y, which is spent, is that of x too: the first part of it, or one more. */
  #handOn(y: Tensor, x: Tensor): void {
    const dy = this.#grads.get(y)!
    if (this.#tracked.has(x) && !this.#grads.has(x)) {
      this.#grads.delete(y)
      this.#grads.set(x, dy)
      return
    }
    const dx = this.#grad(x)
    if (dx) this.#gradients.combine(dy, dy, dy, 'add', { da: dx, db: null })
  }

  /** Something trainable is behind one of them. */
  #learns(inputs: (Tensor | null)[]): boolean {
    return inputs.some((x) => x && this.#isTracked(x))
  }

  /** Where the gradient of x is added up, or null if nothing trainable is behind x. */
  #grad(x: Tensor | null): Tensor | null {
    if (!x || !this.#isTracked(x)) return null
    const view = this.#views.get(x)
    if (view) return view.of(this.#grad(view.parent)!)
    const known = this.#parameters.get(x) ?? this.#grads.get(x)
    if (known) return known
    const fresh = this.#backend.zeros(x.rows, x.cols)
    this.#grads.set(x, fresh)
    return fresh
  }

  #record(
    output: Tensor,
    inputs: (Tensor | null)[],
    values: (Tensor | null)[],
    backward: Step['backward'],
    owns = true,
  ): Tensor {
    this.goOn()
    if (!this.#learns(inputs)) return output
    this.#tracked.add(this.#base(output))
    const saved = values.filter((x) => x !== null).map((x) => this.#base(x))
    for (const t of saved) this.#uses.set(t, (this.#uses.get(t) ?? 0) + 1)
    this.#steps.push({ output, saved, owns, backward })
    return output
  }

  #forget(t: Tensor): void {
    const uses = this.#uses.get(t)! - 1
    if (uses > 0) this.#uses.set(t, uses)
    else {
      this.#uses.delete(t)
      if (this.#released.delete(t)) this.#backend.release(t)
    }
  }

  #dropGradient(t: Tensor): void {
    const gradient = this.#grads.get(t)
    if (!gradient) return
    this.#grads.delete(t)
    this.#backend.release(gradient)
  }
}

function expectWhole({ start, ends }: Segments): void {
  if (start.some((rows) => rows > 0) || ends.some((end) => end === 0))
    throw new Error('a tape takes whole segments, not parts of a longer one')
}
