import type { Tensor, TurnsArgs } from '../backend.js'
import { turnsShape } from '../turns.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { sigmoid, softplus, turn } from './math.js'
import { partsOf } from './parts.js'
import { gpu, stateOf } from './tensor.js'

/** A thread for each pair of a head of a part. `parts`: those of `partsOf`. */
const turnsKernel = (state: boolean): Kernel => ({
  name: `turns ${state}`,
  reads: ['angles', 'dt', 'bias'],
  writes: ['y', ...(state ? ['state'] : [])],
  tables: ['parts'],
  counts: ['H', 'S', 'A', 'across'],
  threads: 64,
  library: sigmoid + softplus + turn,
  body: `
  let part = block / p.across * 4u;
  let i = block % p.across * 64u + lane;
  if (i >= p.H * p.S) { return; }
  let head = i / p.S;
  let pair = i % p.S;
  let angle = p.angles_at + head / (p.H / p.A) * p.S + pair;
  var sum = 0.0;
  ${
    state
      ? `
  let kept = p.state_at + u32(max(0, parts[part + 2u])) * p.H * p.S + i;
  if (parts[part + 3u] == 1) { sum = state[kept]; }`
      : ''
  }
  for (var t = 0; t < parts[part + 1u]; t++) {
    let row = u32(parts[part] + t);
    let step = softplus(dt[p.dt_at + row * p.dt_step + head] + bias[p.bias_at + head]);
    // tanh x = 2 sigmoid(2 x) - 1
    sum += (2.0 * sigmoid(2.0 * angles[angle + row * p.angles_step]) - 1.0) * step * 3.141592653589793;
    let whole = floor(sum * 0.15915494309189535);
    sum = (sum - whole * 6.28125) - whole * 0.0019353071795864769;
    let both = turn(sum);
    let out = p.y_at + row * p.y_step + 2u * head * p.S + pair;
    y[out] = both.x;
    y[out + p.S] = both.y;
  }
  ${state ? 'if (parts[part + 2u] >= 0) { state[kept] = sum; }' : ''}`,
})

export function turns(machine: Machine, args: TurnsArgs, states: Tensor | null): Tensor {
  const { T, H, S, A } = turnsShape(args)
  const { parts, table } = partsOf(args.segments, 'forward', T)
  const state = stateOf(states, H, S, parts)
  const y = machine.allocate(T, H * 2 * S)
  const across = Math.ceil((H * S) / 64)
  machine.run(turnsKernel(!!state), {
    tensors: {
      angles: gpu(args.angles, T, A * S),
      dt: gpu(args.dt, T, H),
      bias: gpu(args.dtBias, 1, H),
      y,
      ...(state && { state }),
    },
    tables: { parts: table },
    numbers: { H, S, A, across },
    blocks: across * parts.length,
  })
  return y
}
