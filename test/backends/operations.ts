import type {
  Activation,
  AttentionArgs,
  Backend,
  Combination,
  FloatArray,
  GatedDeltaArgs,
  Gradients,
  GroupNorm,
  Pairs,
  Pooling,
  S4dArgs,
  S5Args,
  ScanArgs,
  SsdArgs,
  Tensor,
  TrapezoidArgs,
  TurnsArgs,
} from '../../src/backends/backend.js'
import type { Discretisation } from '../../src/backends/discretise.js'
import type { Direction } from '../../src/backends/segments.js'
import type { NormSpec } from '../../src/spec.js'
import { randomNumbers } from './random.js'
import { cutSegments, middlesOf, segmentsOf } from './segments.js'

/**
 * The table of operations x shapes. Every backend is tested on it against the reference, the reference's gradients
 * are tested on it against finite differences, and a benchmark can time the same cases at larger sizes.
 */
export interface Values {
  rows: number
  cols: number
  /** Inputs are numbers that float32 holds exactly, so that all backends start from the same ones. */
  data: FloatArray
}
export type Named<X> = Record<string, X>

export interface Operation {
  name: string
  inputs: Named<Values>
  /** Puts every tensor into the columns of a wider one, at an odd offset, between NaN. */
  views: boolean
  /** Parameters and states of several rows, which are read without a step and so are never views. */
  whole?: string[]
  /** A backend without gradients has none of it. */
  trains?: boolean
  /** Length of the longest sum behind one result: sets the tolerance of float32. */
  terms: number
  /** Result `y` and states; in-place results under the name of their input. */
  forward(backend: Backend, x: Named<Tensor>): Promise<Named<Tensor>>
  /** Adds to `into[name]` the gradient of input `name`; dy has the names of the results that carry a gradient. */
  backward?(gradients: Gradients, dy: Named<Tensor>, x: Named<Tensor>, into: Named<Tensor>): void | Promise<void>
  /** Inputs with a gradient; all that are not listed are not differentiated. */
  differentiable?: string[]
}

/** Places values in a backend; the tensor that owns them comes first, and is wider where they are a view of it. */
function place(backend: Backend, { rows, cols, data }: Values, view: boolean, padding: number): [Tensor, Tensor] {
  if (!view) {
    const x = backend.upload(data, rows, cols)
    return [x, x]
  }
  const wide = new Float64Array(rows * (cols + 5)).fill(padding)
  for (let r = 0; r < rows; r++) wide.set(data.subarray(r * cols, (r + 1) * cols), r * (cols + 5) + 3)
  const owner = backend.upload(wide, rows, cols + 5)
  return [owner, backend.columns(owner, 3, 3 + cols)]
}

function placeAll(backend: Backend, all: Named<Values>, view: boolean, whole: string[] = [], padding = Number.NaN) {
  const owners: Tensor[] = []
  const x: Named<Tensor> = {}
  for (const [name, one] of Object.entries(all)) {
    const [owner, placed] = place(backend, one, view && !whole.includes(name), padding)
    owners.push(owner)
    x[name] = placed
  }
  return { owners, x }
}

const filled = (rows: number, cols: number, value: number): Values => ({
  rows,
  cols,
  data: new Float64Array(rows * cols).fill(value),
})

/** Runs a case forward and returns its results as numbers. */
export async function runForward(backend: Backend, op: Operation): Promise<Named<Values>> {
  const { owners, x } = placeAll(backend, op.inputs, op.views, op.whole)
  const results = await op.forward(backend, x)
  const numbers: Named<Values> = {}
  for (const [name, { rows, cols }] of Object.entries(results))
    numbers[name] = { rows, cols, data: await backend.download(results[name]) }
  const placed = new Set(Object.values(x))
  backend.release(...Object.values(results).filter((result) => !placed.has(result)), ...owners)
  return numbers
}

/** Places zeros to which nothing was written yet, as `place` places values, where memory may hold something else. */
function placeUnwritten(backend: Backend, { rows, cols }: Values, view: boolean): [Tensor, Tensor] {
  const width = view ? cols + 5 : cols
  backend.release(backend.upload(new Float64Array(rows * width).fill(Number.NaN), rows, width))
  const owner = backend.zeros(rows, width)
  return [owner, view ? backend.columns(owner, 3, 3 + cols) : owner]
}

/**
 * Runs the gradient of a case into `used` tensors, which are full of ones that are taken away again, or into `unwritten`
 * ones. Throws where the backend has no gradients: a case is never passed over.
 */
export async function runBackward(
  backend: Backend,
  op: Operation,
  dy: Named<Values>,
  kind: 'used' | 'unwritten' = 'used',
): Promise<Named<Values>> {
  if (!op.backward || !backend.gradients) throw new Error(`${op.name} has no gradient on ${backend.name}`)
  const [before, around] = kind === 'used' ? [1, 7] : [0, 0]
  const inputs = placeAll(backend, op.inputs, op.views, op.whole)
  const given = placeAll(backend, dy, op.views, op.whole)
  const into: { owners: Tensor[]; x: Named<Tensor> } = { owners: [], x: {} }
  for (const name of op.differentiable ?? []) {
    const { rows, cols } = op.inputs[name]
    const ones = filled(rows, cols, before)
    const [owner, x] =
      kind === 'used' ? place(backend, ones, op.views, around) : placeUnwritten(backend, ones, op.views)
    into.owners.push(owner)
    into.x[name] = x
  }
  await op.backward(backend.gradients, given.x, inputs.x, into.x)
  const numbers: Named<Values> = {}
  for (const [name, { rows, cols }] of Object.entries(into.x))
    numbers[name] = { rows, cols, data: (await backend.download(into.x[name])).map((v) => v - before) }
  if (op.views)
    for (const owner of into.owners) {
      const padding = (await backend.download(owner)).filter(
        (_, i) => i % owner.cols < 3 || i % owner.cols >= owner.cols - 2,
      )
      if (padding.some((v) => v !== around)) throw new Error(`${op.name} wrote outside of a view`)
    }
  backend.release(...inputs.owners, ...given.owners, ...into.owners)
  return numbers
}

const total = (lengths: number[]) => lengths.reduce((sum, n) => sum + n, 0)

const letters = randomNumbers(1)
/** Random normal values, times `scale`, plus `shift`. */
export function values(rows: number, cols: number, scale = 1, shift = 0): Values {
  return {
    rows,
    cols,
    data: Float64Array.from({ length: rows * cols }, () => Math.fround(letters.normal() * scale + shift)),
  }
}
const optional = (there: boolean, name: string, make: () => Values): Named<Values> => (there ? { [name]: make() } : {})

/** The result of an operation that updates its state in place. */
const withState = (y: Tensor, x: Named<Tensor>): Named<Tensor> => (x.state ? { y, state: x.state } : { y })

/** Time steps: before a softplus some above its threshold, without one never negative, or the state explodes. */
function steps(T: number, E: number, softplus: boolean): Values {
  const { data } = values(T, E, 2, -1)
  return { rows: T, cols: E, data: data.map((v, i) => (softplus ? (i % 37 === 36 ? 21 : v) : Math.abs(v))) }
}

interface LinearShape {
  T: number
  I: number
  O: number
  bias?: boolean
  residual?: boolean
  activation?: Activation
  views?: boolean
}
export function linearCase({ T, I, O, bias, residual, activation = 'none', views = false }: LinearShape): Operation {
  const extras = `${bias ? ' bias' : ''}${residual ? ' residual' : ''}${activation === 'none' ? '' : ' silu'}`
  const op: Operation = {
    name: `linear [${T}, ${I}] to ${O}${extras}${views ? ' views' : ''}`,
    inputs: {
      x: values(T, I),
      weight: values(O, I, I ** -0.5),
      ...optional(!!bias, 'bias', () => values(1, O)),
      ...optional(!!residual, 'residual', () => values(T, O)),
    },
    views,
    terms: Math.max(T, I, O),
    forward: async (b, x) => ({
      y: await b.linear(x.x, x.weight, { bias: x.bias, residual: x.residual, activation }),
    }),
  }
  if (activation !== 'none' || residual) return op
  return {
    ...op,
    differentiable: ['x', 'weight', ...(bias ? ['bias'] : [])],
    backward: (g, { y }, x, into) =>
      g.linear(y, x.x, x.weight, { dx: into.x, dWeight: into.weight, dBias: into.bias ?? null }),
  }
}

interface NormShape {
  T: number
  D: number
  kind: NormSpec['kind']
  weight?: boolean
  bias?: boolean
  groups?: number
  views?: boolean
}
export function normCase(shape: NormShape): Operation {
  const { T, D, kind, weight = true, bias = false, groups = 1, views = false } = shape
  const spec: GroupNorm = { kind, eps: 1e-5, groups }
  return {
    name: `norm ${kind} [${T}, ${D}]${groups > 1 ? ` groups ${groups}` : ''}${weight ? ' weight' : ''}${bias ? ' bias' : ''}${views ? ' views' : ''}`,
    inputs: {
      // The gradient of a single small number is the difference of two large ones.
      x: values(T, D, 1, D === groups ? 4 : 0.5),
      ...optional(weight, 'weight', () => values(1, D)),
      ...optional(bias, 'bias', () => values(1, D)),
    },
    views,
    terms: Math.max(T, D),
    forward: async (b, x) => ({ y: b.norm(x.x, spec, x.weight ?? null, x.bias ?? null) }),
    differentiable: ['x', ...(weight ? ['weight'] : []), ...(bias ? ['bias'] : [])],
    backward: (g, { y }, x, into) =>
      g.norm(y, x.x, spec, x.weight ?? null, {
        dx: into.x,
        dWeight: into.weight ?? null,
        dBias: into.bias ?? null,
      }),
  }
}

interface ConvShape {
  lengths: number[]
  E: number
  K: number
  direction?: Direction
  activation?: 'none' | 'silu'
  bias?: boolean
  state?: boolean
  views?: boolean
}
export function convCase(shape: ConvShape): Operation {
  const { lengths, E, K, direction = 'forward', activation = 'silu', bias = true, state = false, views = false } = shape
  const T = total(lengths)
  const segments = state ? middlesOf(lengths) : segmentsOf(lengths)
  const op: Operation = {
    name: `conv ${direction} rows ${lengths.join('+')} E ${E} K ${K} ${activation}${bias ? ' bias' : ''}${state ? ' state' : ''}${views ? ' views' : ''}`,
    inputs: {
      x: values(T, E),
      weight: values(K, E, 0.5),
      ...optional(bias, 'bias', () => values(1, E)),
      ...optional(state, 'state', () => values(lengths.length * K, E)),
    },
    views,
    whole: ['weight', 'state'],
    terms: Math.max(T, K),
    forward: async (b, x) => {
      const args = { segments, direction, activation, state: x.state ?? null }
      const y = b.causalConv(x.x, x.weight, x.bias ?? null, args)
      return withState(y, x)
    },
  }
  if (state) return op
  return {
    ...op,
    differentiable: ['x', 'weight', ...(bias ? ['bias'] : [])],
    backward: (g, { y }, x, into) =>
      g.causalConv(
        y,
        x.x,
        x.weight,
        x.bias ?? null,
        { segments, direction, activation },
        { dx: into.x, dWeight: into.weight, dBias: into.bias ?? null },
      ),
  }
}

interface ScanShape {
  lengths: number[]
  E: number
  N: number
  G?: number
  direction?: Direction
  softplus?: boolean
  /** Without: D, z and dtBias are null. */
  extras?: boolean
  /** State carried in and out; with one segment it has a gradient when nothing is carried in. */
  state?: 'none' | 'carried' | 'final'
  addTo?: boolean
  views?: boolean
}
export function scanCase(shape: ScanShape): Operation {
  const { lengths, E, N, G = 1, direction = 'forward', softplus = true, extras = true, views = false } = shape
  const { state = 'none', addTo = false } = shape
  const T = total(lengths)
  const segments = state === 'carried' ? middlesOf(lengths) : cutSegments(lengths, 0, T)
  const words = [
    `scan ${direction} rows ${lengths.join('+')} E ${E} N ${N} G ${G}`,
    softplus ? 'softplus' : '',
    extras ? 'D z dtBias' : '',
    state === 'none' ? '' : `state ${state}`,
    addTo ? 'addTo' : '',
    views ? 'views' : '',
  ]
  const argsOf = (x: Named<Tensor>): ScanArgs => ({
    u: x.u,
    dt: x.dt,
    A_log: x.A_log,
    B: x.B,
    C: x.C,
    D: x.D ?? null,
    z: x.z ?? null,
    dtBias: x.dtBias ?? null,
    softplus,
    segments,
    direction,
  })
  const op: Operation = {
    name: words.filter(Boolean).join(' '),
    inputs: {
      u: values(T, E),
      dt: steps(T, E, softplus),
      A_log: values(E, N, 0.7),
      B: values(T, G * N),
      C: values(T, G * N),
      ...optional(extras, 'D', () => values(1, E)),
      ...optional(extras, 'z', () => values(T, E)),
      ...optional(extras, 'dtBias', () => values(1, E)),
      ...optional(state !== 'none', 'state', () =>
        state === 'final' ? filled(E, N, 0) : values(lengths.length * E, N),
      ),
      ...optional(addTo, 'addTo', () => values(T, E)),
    },
    views,
    whole: ['A_log', 'state'],
    terms: Math.max(T, N, E),
    forward: async (b, x) => {
      const y = b.selectiveScan(argsOf(x), x.state ?? null, x.addTo)
      return withState(y, x)
    },
  }
  if (state === 'carried' || addTo) return op
  return {
    ...op,
    differentiable: ['u', 'dt', 'A_log', 'B', 'C', ...(extras ? ['D', 'z', 'dtBias'] : [])],
    backward: (g, dy, x, into) =>
      g.selectiveScan(
        dy.y,
        argsOf(x),
        {
          du: into.u,
          ddt: into.dt,
          dA_log: into.A_log,
          dB: into.B,
          dC: into.C,
          dD: into.D ?? null,
          dz: into.z ?? null,
          ddtBias: into.dtBias ?? null,
        },
        dy.state ?? null,
      ),
  }
}

export function combineCase({
  T,
  D,
  how,
  views = false,
}: {
  T: number
  D: number
  how: Combination
  views?: boolean
}): Operation {
  return {
    name: `combine ${how} [${T}, ${D}]${views ? ' views' : ''}`,
    inputs: { a: values(T, D), b: values(T, D, 3) },
    views,
    terms: 1,
    forward: async (b, x) => ({ y: b.combine(x.a, x.b, how) }),
    differentiable: ['a', 'b'],
    backward: (g, { y }, x, into) => g.combine(y, x.a, x.b, how, { da: into.a, db: into.b }),
  }
}

interface ActivateShape {
  T: number
  D: number
  activation: Activation
  views?: boolean
}
export function activateCase({ T, D, activation, views = false }: ActivateShape): Operation {
  return {
    name: `activate ${activation} [${T}, ${D}]${views ? ' views' : ''}`,
    inputs: { x: values(T, D, 5) },
    views,
    terms: 1,
    forward: async (b, x) => ({ y: b.activate(x.x, activation) }),
    differentiable: ['x'],
    backward: (g, { y }, x, into) => g.activate(y, x.x, activation, into.x),
  }
}

interface S4dShape {
  lengths: number[]
  H: number
  M: number
  direction?: Direction
  discretisation?: Discretisation
  state?: boolean
  views?: boolean
}
export function s4dCase(shape: S4dShape): Operation {
  const { lengths, H, M, direction = 'forward', discretisation = 'zoh', state = false, views = false } = shape
  const segments = state ? middlesOf(lengths) : segmentsOf(lengths)
  const argsOf = ({ u, log_dt, log_A_real, A_imag, C, D }: Named<Tensor>): S4dArgs => ({
    ...{ u, log_dt, log_A_real, A_imag, C, D },
    ...{ discretisation, segments, direction },
  })
  const op: Operation = {
    name: `s4d ${discretisation} ${direction} rows ${lengths.join('+')} H ${H} M ${M}${state ? ' state' : ''}${views ? ' views' : ''}`,
    inputs: {
      u: values(total(lengths), H),
      log_dt: values(1, H, 0.7, -3),
      log_A_real: values(H, M, 0.3, -0.7),
      A_imag: values(H, M, 2, 3),
      C: values(H, 2 * M),
      D: values(1, H),
      ...optional(state, 'state', () => values(lengths.length * H, 2 * M)),
    },
    views,
    whole: ['log_dt', 'log_A_real', 'A_imag', 'C', 'D', 'state'],
    // The state is a sum over many rows, turned in every one.
    terms: 16 * Math.max(...lengths, M),
    forward: async (b, x) => withState(b.s4d(argsOf(x), x.state ?? null), x),
  }
  if (state) return op
  return {
    ...op,
    differentiable: ['u', 'log_dt', 'log_A_real', 'A_imag', 'C', 'D'],
    backward: (g, { y }, x, into) =>
      g.s4d(y, argsOf(x), {
        du: into.u,
        dlog_dt: into.log_dt,
        dlog_A_real: into.log_A_real,
        dA_imag: into.A_imag,
        dC: into.C,
        dD: into.D,
      }),
  }
}

interface S5Shape {
  lengths: number[]
  P: number
  direction?: Direction
  state?: boolean
  views?: boolean
}
export function s5Case({ lengths, P, direction = 'forward', state = false, views = false }: S5Shape): Operation {
  const segments = state ? middlesOf(lengths) : segmentsOf(lengths)
  const argsOf = ({ u, Lambda, log_step }: Named<Tensor>): S5Args => ({ u, Lambda, log_step, segments, direction })
  const op: Operation = {
    name: `s5 ${direction} rows ${lengths.join('+')} P ${P}${state ? ' state' : ''}${views ? ' views' : ''}`,
    inputs: {
      u: values(total(lengths), 2 * P),
      Lambda: values(P, 2, 0.4, -0.6),
      log_step: values(1, P, 0.7, -3),
      ...optional(state, 'state', () => values(lengths.length * P, 2)),
    },
    views,
    whole: ['Lambda', 'log_step', 'state'],
    terms: 16 * Math.max(...lengths),
    forward: async (b, x) => withState(b.s5(argsOf(x), x.state ?? null), x),
  }
  if (state) return op
  return {
    ...op,
    differentiable: ['u', 'Lambda', 'log_step'],
    backward: (g, { y }, x, into) => g.s5(y, argsOf(x), { du: into.u, dLambda: into.Lambda, dlog_step: into.log_step }),
  }
}

interface SsdShape {
  lengths: number[]
  H: number
  P: number
  N: number
  G?: number
  direction?: Direction
  dtLimit?: readonly [number, number]
  /** As of a scan: `final` has a gradient of the last state, and of the first. */
  state?: 'none' | 'carried' | 'final'
  views?: boolean
}
export function ssdCase(shape: SsdShape): Operation {
  const { lengths, H, P, N, G = 1, direction = 'forward', state = 'none', views = false } = shape
  const { dtLimit = [0, Number.POSITIVE_INFINITY] } = shape
  const T = total(lengths)
  const resumed = { ...middlesOf(lengths), ends: Uint8Array.of(direction === 'forward' ? 1 : 0) }
  const segments = state === 'none' ? segmentsOf(lengths) : state === 'final' ? resumed : middlesOf(lengths)
  const words = [
    `ssd ${direction} rows ${lengths.join('+')} H ${H} P ${P} N ${N} G ${G}`,
    shape.dtLimit ? `steps ${dtLimit}` : '',
    state === 'none' ? '' : `state ${state}`,
    views ? 'views' : '',
  ]
  const argsOf = ({ x, dt, A_log, B, C, D, dtBias }: Named<Tensor>): SsdArgs => ({
    ...{ x, dt, A_log, B, C, groups: G, D, dtBias, dtLimit },
    ...{ segments, direction },
  })
  const op: Operation = {
    name: words.filter(Boolean).join(' '),
    inputs: {
      x: values(T, H * P),
      dt: steps(T, H, true),
      A_log: values(1, H, 0.7),
      B: values(T, G * N),
      C: values(T, G * N),
      D: values(1, H),
      dtBias: values(1, H),
      ...optional(state !== 'none', 'state', () => values(lengths.length * H * P, N)),
    },
    views,
    whole: ['A_log', 'D', 'dtBias', 'state'],
    terms: Math.max(T, N, H * P),
    forward: async (b, x) => withState(b.ssd(argsOf(x), x.state ?? null), x),
  }
  if (state === 'carried') return op
  const ends = state === 'final'
  return {
    ...op,
    differentiable: ['x', 'dt', 'A_log', 'B', 'C', 'D', 'dtBias', ...(ends ? ['state'] : [])],
    backward: (g, dy, x, into) => {
      const { dtBias: ddtBias, state: dInitial, ...rest } = into
      const { x: dx, dt: ddt, A_log: dA_log, B: dB, C: dC, D: dD } = rest
      const atEnds = ends ? { initial: x.state, dInitial, dLast: dy.state } : {}
      g.ssd(dy.y, argsOf(x), { dx, ddt, dA_log, dB, dC, dD, ddtBias }, atEnds)
    },
  }
}

interface GatedDeltaShape {
  lengths: number[]
  H: number
  G?: number
  K: number
  V: number
  direction?: Direction
  state?: boolean
  views?: boolean
}
export function gatedDeltaCase(shape: GatedDeltaShape): Operation {
  const { lengths, H, G = 1, K, V, direction = 'forward', state = false, views = false } = shape
  const T = total(lengths)
  const segments = state ? middlesOf(lengths) : segmentsOf(lengths)
  const words = [
    `gatedDelta ${direction} rows ${lengths.join('+')} H ${H} G ${G} K ${K} V ${V}`,
    state ? 'state' : '',
    views ? 'views' : '',
  ]
  const argsOf = ({ q, k, v, dt, beta, A_log, dtBias }: Named<Tensor>): GatedDeltaArgs => ({
    ...{ q, k, v, dt, beta, A_log, dtBias, groups: G },
    ...{ segments, direction },
  })
  const op: Operation = {
    name: words.filter(Boolean).join(' '),
    inputs: {
      q: values(T, G * K),
      // At most as long as one: what a key finds is corrected by what is off, and no further.
      k: values(T, G * K, K ** -0.5),
      v: values(T, H * V),
      dt: steps(T, H, true),
      beta: values(T, H),
      A_log: values(1, H, 0.7),
      dtBias: values(1, H),
      ...optional(state, 'state', () => values(lengths.length * H * K, V)),
    },
    views,
    whole: ['A_log', 'dtBias', 'state'],
    terms: Math.max(T, K, V) * K,
    forward: async (b, x) => withState(b.gatedDelta(argsOf(x), x.state ?? null), x),
  }
  if (state) return op
  return {
    ...op,
    differentiable: ['q', 'k', 'v', 'dt', 'beta', 'A_log', 'dtBias'],
    backward: (g, { y }, x, { q: dq, k: dk, v: dv, dt: ddt, beta: dbeta, A_log: dA_log, dtBias: ddtBias }) =>
      g.gatedDelta(y, argsOf(x), { dq, dk, dv, ddt, dbeta, dA_log, ddtBias }),
  }
}

interface TurnsShape {
  lengths: number[]
  H: number
  S: number
  A?: number
  state?: boolean
  views?: boolean
}
export function turnsCase({ lengths, H, S, A = 1, state = false, views = false }: TurnsShape): Operation {
  const segments = state ? middlesOf(lengths) : segmentsOf(lengths)
  const T = total(lengths)
  const argsOf = ({ angles, dt, dtBias }: Named<Tensor>): TurnsArgs => ({ angles, pairs: S, dt, dtBias, segments })
  const op: Operation = {
    name: `turns rows ${lengths.join('+')} H ${H} S ${S} A ${A}${state ? ' state' : ''}${views ? ' views' : ''}`,
    inputs: {
      angles: values(T, A * S),
      dt: values(T, H, 1, -2),
      dtBias: values(1, H),
      // Away from the ends of 0 to 2 pi, where a rounding more or less is a turn more or less.
      ...optional(state, 'state', () => values(lengths.length * H, S, 0.1, 3)),
    },
    views,
    whole: ['dtBias', 'state'],
    // The angles are sums over all rows.
    terms: 16 * Math.max(...lengths),
    forward: async (b, x) => withState(b.turns(argsOf(x), x.state ?? null), x),
  }
  if (state) return op
  return {
    ...op,
    differentiable: ['angles', 'dt', 'dtBias'],
    backward: (g, { y }, x, into) =>
      g.turns(y, argsOf(x), { dangles: into.angles, ddt: into.dt, ddtBias: into.dtBias }),
  }
}

interface TrapezoidShape {
  lengths: number[]
  H: number
  P: number
  N: number
  leastRate?: number
  state?: boolean
  views?: boolean
}
export function trapezoidCase(shape: TrapezoidShape): Operation {
  const { lengths, H, P, N, leastRate = 1e-4, state = false, views = false } = shape
  const segments = state ? middlesOf(lengths) : segmentsOf(lengths)
  const [T, S] = [total(lengths), lengths.length]
  const argsOf = ({ v, k, q, dt, A, trap, D, dtBias }: Named<Tensor>): TrapezoidArgs => ({
    ...{ v, k, q, dt, A, trap, D, dtBias, leastRate, segments },
  })
  const op: Operation = {
    name: `trapezoid rows ${lengths.join('+')} H ${H} P ${P} N ${N} rate ${leastRate}${state ? ' state' : ''}${views ? ' views' : ''}`,
    inputs: {
      v: values(T, H * P),
      k: values(T, H * N),
      q: values(T, H * N),
      dt: steps(T, H, true),
      A: values(T, H, 2),
      trap: values(T, H, 2),
      D: values(1, H),
      dtBias: values(1, H),
      ...optional(state, 'ssm', () => values(S * H * P, N)),
      ...optional(state, 'lastK', () => values(S * H, N)),
      ...optional(state, 'lastV', () => values(S * H, P)),
    },
    views,
    whole: ['D', 'dtBias', 'ssm', 'lastK', 'lastV'],
    terms: Math.max(T, N, H * P),
    forward: async (b, x) => {
      const { ssm, lastK, lastV } = x
      const y = b.trapezoid(argsOf(x), state ? { ssm, k: lastK, v: lastV } : null)
      return { y, ...(state && { ssm, lastK, lastV }) }
    },
  }
  if (state) return op
  return {
    ...op,
    differentiable: ['v', 'k', 'q', 'dt', 'A', 'trap', 'D', 'dtBias'],
    backward: (g, { y }, x, into) =>
      g.trapezoid(y, argsOf(x), {
        ...{ dv: into.v, dk: into.k, dq: into.q, ddt: into.dt, dA: into.A },
        ...{ dtrap: into.trap, dD: into.D, ddtBias: into.dtBias },
      }),
  }
}

interface AttentionShape {
  lengths: number[]
  heads: number
  groups: number
  width: number
  window?: number
  /** Rows of a cache, if there is one: some of it is read, and it is written. */
  cache?: number
  views?: boolean
}
export function attentionCase(shape: AttentionShape): Operation {
  const { lengths, heads, groups, width, window = Infinity, cache = 0, views = false } = shape
  const segments = cache > 0 ? middlesOf(lengths) : segmentsOf(lengths)
  const [T, S] = [total(lengths), lengths.length]
  const argsOf = ({ q, k, v }: Named<Tensor>): AttentionArgs => ({
    ...{ q, k, v },
    ...{ heads, width, scale: width ** -0.5, window, segments },
  })
  const words = [
    `attention rows ${lengths.join('+')} heads ${heads}/${groups} width ${width}`,
    window < Infinity ? `window ${window}` : '',
    cache ? `cache ${cache}` : '',
    views ? 'views' : '',
  ]
  const op: Operation = {
    name: words.filter(Boolean).join(' '),
    inputs: {
      q: values(T, heads * width, 2),
      k: values(T, groups * width),
      v: values(T, groups * width),
      ...optional(cache > 0, 'keys', () => values(S, cache * groups * width)),
      ...optional(cache > 0, 'values', () => values(S, cache * groups * width)),
    },
    views,
    whole: ['keys', 'values'],
    terms: 4 * Math.max(width, ...lengths, Math.min(cache, window)),
    forward: async (b, x) => {
      const kept = cache > 0 ? { keys: x.keys, values: x.values } : null
      return { y: b.attention(argsOf(x), kept), ...kept }
    },
  }
  if (cache > 0) return op
  return {
    ...op,
    differentiable: ['q', 'k', 'v'],
    backward: (g, { y }, x, into) => g.attention(y, argsOf(x), { dq: into.q, dk: into.k, dv: into.v }),
  }
}

export function rotateCase(T: number, heads: number, width: number, n: number, pairs: Pairs, views = false): Operation {
  return {
    name: `rotate ${pairs} ${n} of [${T}, ${heads} ${width}]${views ? ' views' : ''}`,
    inputs: { x: values(T, heads * width), turns: values(T, 2 * n) },
    views,
    terms: 2 * heads,
    forward: async (b, { x, turns }) => ({ y: b.rotate(x, turns, heads, pairs) }),
    differentiable: ['x', 'turns'],
    backward: (g, { y }, { x, turns }, into) => g.rotate(y, x, turns, heads, pairs, { dx: into.x, dturns: into.turns }),
  }
}

export function routeCase(T: number, X: number, active: number, over: 'active' | 'all', views = false): Operation {
  return {
    name: `route ${active} of [${T}, ${X}] over ${over}${views ? ' views' : ''}`,
    inputs: { logits: values(T, X, 2) },
    views,
    terms: X,
    forward: async (b, { logits }) => ({ y: b.route(logits, active, over) }),
    differentiable: ['logits'],
    backward: (g, { y }, { logits }, into) => g.route(y, logits, active, over, into.logits),
  }
}

/** Every second row of y gets a row, the last first. */
export function addRowsCase(T: number, D: number, views = false): Operation {
  const rows = Int32Array.from({ length: Math.ceil(T / 2) }, (_, i) => T - 1 - 2 * i)
  return {
    name: `addRows ${rows.length} to [${T}, ${D}]${views ? ' views' : ''}`,
    inputs: { y: values(T, D), x: values(rows.length, D), shares: values(T, 1) },
    views,
    terms: D,
    forward: async (b, { y, x, shares }) => {
      b.addRows(y, x, rows, shares)
      return { y }
    },
    differentiable: ['x', 'shares'],
    backward: (g, { y }, { x, shares }, into) => g.addRows(y, x, rows, shares, { dx: into.x, dshares: into.shares }),
  }
}

export function scaleCase(T: number, D: number, views = false): Operation {
  return {
    name: `scale [${T}, ${D}]${views ? ' views' : ''}`,
    inputs: { x: values(T, D) },
    views,
    terms: 1,
    forward: async (b, { x }) => ({ y: b.scale(x, 0.375) }),
    differentiable: ['x'],
    backward: (g, { y }, _, into) => g.scale(y, 0.375, into.x),
  }
}

interface UnfoldShape {
  lengths: number[]
  D: number
  window: number
  stride: number
  state?: boolean
  views?: boolean
}
export function unfoldCase({ lengths, D, window, stride, state = false, views = false }: UnfoldShape): Operation {
  const segments = state ? middlesOf(lengths) : segmentsOf(lengths)
  const op: Operation = {
    name: `unfold rows ${lengths.join('+')} D ${D} window ${window} stride ${stride}${state ? ' state' : ''}${views ? ' views' : ''}`,
    inputs: { x: values(total(lengths), D), ...optional(state, 'state', () => values(lengths.length * window, D)) },
    views,
    whole: ['state'],
    terms: window,
    forward: async (b, x) => {
      const y = b.unfold(x.x, window, stride, segments, x.state ?? null)
      return withState(y, x)
    },
  }
  if (state) return op
  return {
    ...op,
    differentiable: ['x'],
    backward: (g, { y }, _, into) => g.unfold(y, window, stride, segments, into.x),
  }
}

/** gatherRows, or embedRows: the same numbers by another name. */
export function rowsCase(kind: 'gather' | 'embed', R: number, D: number, T: number, views = false): Operation {
  const rows = Int32Array.from({ length: T }, () => letters.below(R))
  return {
    name: `${kind} ${T} of [${R}, ${D}]${views ? ' views' : ''}`,
    inputs: { x: values(R, D) },
    views,
    terms: T,
    forward: async (b, { x }) => ({ y: kind === 'gather' ? b.gatherRows(x, rows) : b.embedRows(rows, x) }),
    differentiable: ['x'],
    backward: (g, { y }, _, into) => (kind === 'gather' ? g.gatherRows(y, rows, into.x) : g.embedRows(y, rows, into.x)),
  }
}

interface PoolShape {
  lengths: number[]
  D: number
  how: Pooling
  /** All but the last go on, from carries to carries. */
  carry?: boolean
  views?: boolean
}
export function poolCase({ lengths, D, how, carry = false, views = false }: PoolShape): Operation {
  const segments = carry ? middlesOf(lengths) : segmentsOf(lengths)
  const op: Operation = {
    name: `pool ${how} rows ${lengths.join('+')} D ${D}${carry ? ' carry' : ''}${views ? ' views' : ''}`,
    inputs: { x: values(total(lengths), D) },
    views,
    terms: 2 * Math.max(...lengths),
    forward: async (b, { x }) => {
      if (!carry) return { y: b.pool(x, segments, how, null) }
      // What a carry holds is the backend's business: it is filled by one chunk and read by the next.
      const carries = b.zeros(lengths.length, 2 * D)
      const begun = { ...segments, start: new Float64Array(lengths.length) }
      b.release(b.pool(x, begun, how, carries))
      const start = Float64Array.from(lengths)
      const y = b.pool(x, { ...segments, start, ends: new Uint8Array(lengths.length).fill(1) }, how, carries)
      b.release(carries)
      return { y }
    },
  }
  if (carry) return op
  return {
    ...op,
    differentiable: ['x'],
    backward: (g, { y }, { x }, into) => g.pool(y, x, segments, how, into.x),
  }
}

export function adamwCase(rows: number, cols: number, step: number, views = false): Operation {
  const settings = { lr: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, step, scale: 0.5 }
  return {
    name: `adamw [${rows}, ${cols}] step ${step}${views ? ' views' : ''}`,
    inputs: {
      param: values(rows, cols),
      grad: values(rows, cols),
      m: values(rows, cols, 0.1),
      v: { rows, cols, data: values(rows, cols, 0.1).data.map((x) => Math.fround(x * x)) },
    },
    views,
    trains: true,
    terms: 4,
    forward: async (b, { param, grad, m, v }) => {
      if (!b.gradients) throw new Error(`${b.name} has no gradients`)
      b.gradients.adamw(param, grad, m, v, settings)
      return { param, m, v }
    },
  }
}

/** Numbers that are not drawn, so that the cases before and behind keep theirs. */
const wave = (rows: number, cols: number, scale = 1): Values => ({
  rows,
  cols,
  data: Float64Array.from({ length: rows * cols }, (_, i) => Math.fround(scale * Math.sin(1 + i * 1.7))),
})

/** Of tensors of these shapes, the last of which may have more numbers than a workgroup of a GPU adds up. */
function globalNormCase(shapes: [rows: number, cols: number][], views = false): Operation {
  return {
    name: `globalNorm ${shapes.map((shape) => `[${shape.join(', ')}]`).join(' ')}${views ? ' views' : ''}`,
    inputs: Object.fromEntries(shapes.map(([rows, cols], i) => [`x${i}`, wave(rows, cols, 10 ** i)])),
    views,
    trains: true,
    terms: 4,
    forward: async (b, x) => {
      if (!b.gradients) throw new Error(`${b.name} has no gradients`)
      return { y: b.upload([await b.gradients.globalNorm(Object.values(x))], 1, 1) }
    },
  }
}

function runningMeanCase(rows: number, cols: number, share: number, views = false): Operation {
  return {
    name: `runningMean [${rows}, ${cols}] share ${share}${views ? ' views' : ''}`,
    inputs: { mean: wave(rows, cols), x: wave(rows, cols, 3) },
    views,
    trains: true,
    terms: 2,
    forward: async (b, { mean, x }) => {
      if (!b.gradients) throw new Error(`${b.name} has no gradients`)
      b.gradients.runningMean(mean, x, share)
      return { mean }
    },
  }
}

const directions: Direction[] = ['forward', 'reverse']

/** All cases: sizes of one, primes, one more and one less than a block of 4, 16, 32 or 64; several segments; views. */
export function operations(): Operation[] {
  const linearSizes = [
    [1, 1, 1],
    [7, 5, 3],
    [3, 129, 1],
    [31, 33, 17],
    [64, 64, 64],
    [65, 16, 63],
    [130, 8, 257],
    [251, 40, 128],
  ]
  return [
    ...linearSizes.flatMap(([T, I, O], i) => [
      linearCase({ T, I, O }),
      linearCase({ T, I, O, bias: true, views: true }),
      linearCase({
        T,
        I,
        O,
        bias: i % 2 === 0,
        residual: true,
        activation: i % 4 ? 'silu' : 'gelu',
        views: i % 3 === 0,
      }),
    ]),
    ...[1, 3, 16, 17, 63, 128, 129].flatMap((D, i) => [
      normCase({ T: 5, D, kind: 'rms', views: i % 2 === 1 }),
      normCase({ T: 17, D: D + 2, kind: 'layer', bias: true, views: i % 2 === 0 }),
      normCase({ T: 3, D, kind: 'rms', weight: false }),
      normCase({ T: 3, D: 3 * D, kind: i % 2 ? 'rms' : 'layer', groups: 3, bias: i % 2 === 0, views: i % 2 === 1 }),
    ]),
    ...directions.flatMap((direction) => [
      ...[1, 2, 3, 4, 5].flatMap((K) => [
        convCase({ lengths: [1], E: 1, K, direction }),
        convCase({ lengths: [3, 1, 17], E: 37, K, direction, views: true }),
        convCase({ lengths: [5, 2, 31], E: 16, K, direction, activation: 'none', bias: false }),
        convCase({ lengths: [4, 9], E: 17, K, direction, state: true }),
        convCase({ lengths: [1], E: 8, K, direction, state: true, views: true }),
      ]),
      ...[1, 3, 4, 8, 16, 20].flatMap((N, i) => [
        scanCase({ lengths: [1], E: 1, N, direction }),
        scanCase({ lengths: [7, 1, 33], E: 5, N, direction, views: i % 2 === 0 }),
        scanCase({ lengths: [2, 65], E: 12, N, G: 3, direction, views: i % 2 === 1 }),
        scanCase({ lengths: [31], E: 17, N, direction, state: 'final' }),
        scanCase({ lengths: [3, 32, 5], E: 7, N, direction, state: 'carried', addTo: true, views: i % 2 === 0 }),
        scanCase({ lengths: [11], E: 16, N, direction, state: 'carried' }),
        scanCase({ lengths: [13, 64], E: 6, N, direction, softplus: false, extras: false }),
      ]),
      ...[1, 3, 4, 8, 17].flatMap((M, i) => [
        s4dCase({ lengths: [1], H: 1, M, direction }),
        s4dCase({ lengths: [7, 1, 33], H: 5, M, direction, views: i % 2 === 0 }),
        s4dCase({ lengths: [4, 31], H: 7, M, direction, state: true, views: i % 2 === 1 }),
        s4dCase({ lengths: [5, 2], H: 3, M, direction, discretisation: 'bilinear' }),
      ]),
      ...[1, 2, 3, 8].flatMap((P, i) => [
        s5Case({ lengths: [1], P, direction }),
        s5Case({ lengths: [7, 1, 33], P, direction, views: i % 2 === 0 }),
        s5Case({ lengths: [4, 31], P, direction, state: true, views: i % 2 === 1 }),
      ]),
      ...[1, 3, 4, 7, 33].flatMap((N, i) => [
        ssdCase({ lengths: [1], H: 1, P: 1, N, direction }),
        ssdCase({ lengths: [7, 1, 19], H: 3, P: 5, N, direction, views: i % 2 === 0 }),
        ssdCase({ lengths: [2, 13], H: 6, P: 2, N, G: 3, direction, views: i % 2 === 1 }),
        ssdCase({ lengths: [5], H: 4, P: 9, N, G: 2, direction, dtLimit: [0.1, 1.5] }),
        ssdCase({ lengths: [19], H: 2, P: 4, N, direction, state: 'final', views: i % 2 === 0 }),
        ssdCase({ lengths: [3, 32, 5], H: 2, P: 7, N, G: 2, direction, state: 'carried', views: i % 2 === 0 }),
      ]),
      // Around the rows of a block, and more states than a thread of a GPU has.
      ...[63, 64, 65, 129].map((rows) => ssdCase({ lengths: [rows, 3], H: 2, P: 8, N: 4, direction })),
      ssdCase({ lengths: [3, 145], H: 2, P: 9, N: 70, G: 2, direction, views: true }),
      ssdCase({ lengths: [131], H: 3, P: 16, N: 32, direction, state: 'carried' }),
      gatedDeltaCase({ lengths: [1], H: 1, K: 1, V: 1, direction }),
      gatedDeltaCase({ lengths: [7, 1, 19], H: 4, G: 2, K: 3, V: 5, direction, views: true }),
      gatedDeltaCase({ lengths: [65], H: 2, K: 4, V: 8, direction }),
      gatedDeltaCase({ lengths: [3, 131], H: 3, G: 3, K: 6, V: 13, direction, views: true }),
      gatedDeltaCase({ lengths: [3, 32, 5], H: 6, G: 3, K: 5, V: 9, direction, state: true, views: true }),
      scanCase({ lengths: [129, 63], E: 32, N: 16, direction, views: true }),
      // More rows and channels than a block of the cpu gradient has.
      scanCase({ lengths: [3, 259], E: 137, N: 4, direction }),
    ]),
    ...[1, 2, 4, 7].flatMap((S, i) => [
      turnsCase({ lengths: [1], H: 1, S }),
      turnsCase({ lengths: [7, 1, 29], H: 6, S, A: 3, views: i % 2 === 0 }),
      turnsCase({ lengths: [4, 31], H: 5, S, state: true, views: i % 2 === 1 }),
    ]),
    ...[1, 3, 4, 7, 33].flatMap((N, i) => [
      trapezoidCase({ lengths: [1], H: 1, P: 1, N }),
      trapezoidCase({ lengths: [7, 1, 19], H: 3, P: 5, N, views: i % 2 === 0 }),
      trapezoidCase({ lengths: [5, 3], H: 2, P: 4, N, leastRate: 0.6 }),
      trapezoidCase({ lengths: [3, 32, 1], H: 2, P: 7, N, state: true, views: i % 2 === 1 }),
    ]),
    // Around the rows of a block of the gradient, and more states than a thread of a GPU has.
    ...[64, 65, 129].map((rows) => trapezoidCase({ lengths: [rows, 3], H: 2, P: 8, N: 4 })),
    trapezoidCase({ lengths: [3, 145], H: 2, P: 9, N: 70, views: true }),
    trapezoidCase({ lengths: [131], H: 3, P: 16, N: 32, state: true }),
    ...(['add', 'multiply', 'gate', 'glu'] as const).flatMap((how) => [
      combineCase({ T: 1, D: 1, how }),
      combineCase({ T: 5, D: 17, how, views: true }),
      combineCase({ T: 9, D: 64, how }),
    ]),
    ...(['none', 'silu', 'gelu', 'selu'] as const).flatMap((activation) => [
      activateCase({ T: 3, D: 13, activation }),
      activateCase({ T: 7, D: 33, activation, views: true }),
    ]),
    ...[1, 3, 4, 8, 17, 64].flatMap((width, i) => [
      attentionCase({ lengths: [1], heads: 1, groups: 1, width }),
      attentionCase({ lengths: [7, 1, 29], heads: 4, groups: 2, width, views: i % 2 === 0 }),
      attentionCase({ lengths: [65, 5], heads: 3, groups: 1, width, window: 3 + 4 * i, views: i % 2 === 1 }),
      // The segments begin at rows 60, 120 and 180.
      attentionCase({ lengths: [4, 31, 1], heads: 2, groups: 2, width, cache: 181, views: i % 2 === 0 }),
      attentionCase({ lengths: [4, 31, 17], heads: 6, groups: 2, width, window: 16, cache: 16, views: i % 2 === 1 }),
    ]),
    attentionCase({ lengths: [130, 3], heads: 2, groups: 1, width: 80, window: 129 }),
    ...(['halves', 'neighbours'] as const).flatMap((pairs) => [
      rotateCase(1, 1, 2, 1, pairs),
      rotateCase(5, 3, 8, 4, pairs, true),
      rotateCase(7, 2, 9, 3, pairs),
    ]),
    ...(['active', 'all'] as const).flatMap((over) => [
      routeCase(1, 1, 1, over),
      routeCase(7, 5, 2, over, true),
      routeCase(65, 16, 3, over),
      routeCase(5, 4, 4, over),
    ]),
    addRowsCase(1, 1),
    addRowsCase(9, 17, true),
    addRowsCase(64, 33),
    scaleCase(1, 1),
    scaleCase(5, 18, true),
    ...[
      [1, 1],
      [3, 1],
      [3, 2],
      [5, 3],
      [4, 4],
    ].flatMap(([window, stride]) => [
      unfoldCase({ lengths: [7, 1, 12], D: 5, window, stride, views: true }),
      unfoldCase({ lengths: [4 * stride, 3 * stride], D: 3, window, stride, state: true }),
      unfoldCase({ lengths: [stride], D: 4, window, stride, state: true, views: true }),
    ]),
    rowsCase('gather', 9, 5, 13),
    rowsCase('gather', 5, 33, 4, true),
    rowsCase('embed', 6, 17, 40),
    rowsCase('embed', 16, 32, 65, true),
    ...(['mean', 'max', 'last'] as const).flatMap((how) => [
      poolCase({ lengths: [1, 7, 30], D: 5, how }),
      poolCase({ lengths: [64, 3], D: 33, how, views: true }),
      poolCase({ lengths: [1, 17, 4], D: 7, how, carry: true }),
      poolCase({ lengths: [31], D: 16, how, carry: true, views: true }),
    ]),
    adamwCase(1, 1, 1),
    adamwCase(5, 17, 3),
    adamwCase(3, 33, 1000, true),
    globalNormCase([[1, 1]]),
    globalNormCase([
      [3, 5],
      [1, 64],
      [64, 65],
    ]),
    globalNormCase(
      [
        [17, 1],
        [70, 131],
      ],
      true,
    ),
    runningMeanCase(1, 1, 0.5),
    runningMeanCase(5, 33, 0.01),
    runningMeanCase(17, 3, 0.25, true),
  ]
}

/** Random gradients for the results of a case. */
export function resultGradients(results: Named<Values>): Named<Values> {
  return Object.fromEntries(Object.entries(results).map(([name, { rows, cols }]) => [name, values(rows, cols)]))
}
