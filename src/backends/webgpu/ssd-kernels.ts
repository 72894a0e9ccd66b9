import type { Kernel } from './kernel.js'
import { softplus } from './math.js'
import { each } from './scan-kernels.js'

/** [T, 2 H]: the step of each head, and log2 of its decay. */
export const stepsKernel: Kernel = {
  name: 'ssd steps',
  reads: ['dt', 'A_log', 'bias'],
  writes: ['y'],
  counts: ['T', 'H'],
  reals: ['least', 'most'],
  threads: 64,
  library: softplus,
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H) { return; }
  let row = i / p.H;
  let head = i % p.H;
  let step = clamp(softplus(dt[p.dt_at + row * p.dt_step + head] + bias[p.bias_at + head]), p.least, p.most);
  y[p.y_at + row * p.y_step + head] = step;
  y[p.y_at + row * p.y_step + p.H + head] = -1.4426950408889634 * step * exp(A_log[p.A_log_at + head]);`,
}

/** What the code of the phases depends on: all states, and how many of them a thread has, which fit into its registers. */
export interface SsdSlice {
  N: number
  width: number
  /** The row before gives something too (Mamba-3): its values are `before`, its keys lie at `past`, and `steps` has a third number for it. */
  past: boolean
}

/**
 * The phases that read rows: a thread for each channel of a piece, with `width` of its states, those from `first` on. `pieces`: as the
 * selective scan has them.
 */
const walk = ({ width, past }: SsdSlice, start: string, eachRow: string, atEnd: string): string => `
  let piece = block / p.across * 4u;
  let e = block % p.across * 64u + lane;
  if (e >= p.H * p.P) { return; }
  let rows = pieces[piece + 1u];
  let head = e / p.P;
  let group_at = head / (p.H / p.G) * p.N + p.first;
  var h: array<f32, ${width}>;
  ${start}
  for (var t = 0; t < rows; t++) {
    let row = u32(select(pieces[piece] + t, pieces[piece] - t, p.backwards == 1u));
    let at = p.steps_at + row * p.steps_step + head;
    let decay = exp2(steps[at + p.H]);
    let input = x[p.x_at + row * p.x_step + e];
    let weighed = steps[at] * input;
    let B = p.B_at + row * p.B_step + group_at;${
      past
        ? `
    let lagging = steps[at + 2u * p.H] * before[p.before_at + row * p.before_step + e];
    let past = p.past_at + row * p.past_step + group_at;`
        : ''
    }
    ${eachRow}
  }
  ${atEnd}`

/** The next of state n. */
const next = ({ past }: SsdSlice, n: string) =>
  `h[${n}] = decay * h[${n}] + weighed * BC[B + ${n}]${past ? ` + lagging * BC[past + ${n}]` : ''};`

const leaveState = ({ width }: SsdSlice) => `
  let kept = p.state_at + (u32(leave) * p.H * p.P + e) * p.N + p.first;
  ${each(width, (n) => `state[kept + ${n}] = h[${n}];`)}`

const reads = ({ past }: SsdSlice) => ['x', 'steps', 'BC', ...(past ? ['before'] : [])]
const counts = ({ past }: SsdSlice) => [
  ...['H', 'P', 'G', 'N', 'first', 'across', 'backwards', 'B_at', 'B_step', 'C_at', 'C_step'],
  ...(past ? ['past_at', 'past_step'] : []),
]

/** The last state of each piece from zero, and for each head the sum of its log2 decays. */
export const summaryKernel = (slice: SsdSlice): Kernel => ({
  name: `ssd summary ${slice.width} ${slice.past}`,
  reads: reads(slice),
  writes: ['state', 'sums'],
  tables: ['pieces'],
  counts: counts(slice),
  threads: 64,
  body: walk(
    slice,
    'var sum = 0.0;',
    `
    sum += steps[at + p.H];
    ${each(slice.width, (n) => next(slice, n))}`,
    `
  let leave = pieces[piece + 3u];
  if (e % p.P == 0u) { sums[p.sums_at + u32(leave) * p.H + head] = sum; }${leaveState(slice)}`,
  ),
})

/** y of each piece from the state before it: that of the first states with D, and those of the others added to it. */
export const applyKernel = (slice: SsdSlice, first: boolean, state: boolean): Kernel => ({
  name: `ssd apply ${slice.width} ${slice.past} ${first} ${state}`,
  reads: [...reads(slice), 'D'],
  writes: ['y', ...(state ? ['state'] : [])],
  tables: ['pieces'],
  counts: counts(slice),
  threads: 64,
  body: walk(
    slice,
    state
      ? `
  let resume = pieces[piece + 2u];
  if (resume >= 0) {
    let before = p.state_at + (u32(resume) * p.H * p.P + e) * p.N + p.first;
    ${each(slice.width, (n) => `h[${n}] = state[before + ${n}];`)}
  }`
      : '',
    `
    let C = p.C_at + row * p.C_step + group_at;
    var sum = ${first ? 'D[p.D_at + head] * input' : 'y[p.y_at + row * p.y_step + e]'};
    ${each(slice.width, (n) => `${next(slice, n)} sum += BC[C + ${n}] * h[${n}];`)}
    y[p.y_at + row * p.y_step + e] = sum;`,
    state ? `let leave = pieces[piece + 3u];\n  if (leave >= 0) {${leaveState(slice)}\n  }` : '',
  ),
})
