import type { S5Args, Tensor } from '../backend.js'
import { discretised } from './discretise.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { partsOf } from './parts.js'
import { gpu, stateOf } from './tensor.js'

/** A thread for each mode of a part. `parts`: those of `partsOf`. */
const s5Kernel = (backwards: boolean, state: boolean): Kernel => ({
  name: `s5 ${backwards} ${state}`,
  reads: ['u', 'Lambda', 'log_step'],
  writes: ['y', ...(state ? ['state'] : [])],
  tables: ['parts'],
  counts: ['P', 'across'],
  threads: 64,
  library: discretised('zoh'),
  body: `
  let part = block / p.across * 4u;
  let mode = block % p.across * 64u + lane;
  if (mode >= p.P) { return; }
  let first = parts[part];
  let rows = parts[part + 1u];
  let lambda = p.Lambda_at + mode * p.Lambda_step;
  let step = discretised(vec2f(Lambda[lambda], Lambda[lambda + 1u]), exp(log_step[p.log_step_at + mode]));
  var x = vec2f(0.0);
  ${
    state
      ? `
  let kept = p.state_at + (u32(max(0, parts[part + 2u])) * p.P + mode) * 2u;
  if (parts[part + 3u] == 1) { x = vec2f(state[kept], state[kept + 1u]); }`
      : ''
  }
  for (var t = 0; t < rows; t++) {
    let row = u32(${backwards ? 'first + rows - 1 - t' : 'first + t'});
    let in = p.u_at + row * p.u_step + 2u * mode;
    x = times(step.w, x) + times(step.held, vec2f(u[in], u[in + 1u]));
    let out = p.y_at + (row * p.P + mode) * 2u;
    y[out] = x.x;
    y[out + 1u] = x.y;
  }
  ${state ? 'if (parts[part + 2u] >= 0) { state[kept] = x.x; state[kept + 1u] = x.y; }' : ''}`,
})

export function s5(machine: Machine, args: S5Args, states: Tensor | null): Tensor {
  const [T, P] = [args.u.rows, args.log_step.cols]
  const { parts, table } = partsOf(args.segments, args.direction, T)
  const state = stateOf(states, P, 2, parts)
  const y = machine.allocate(T, 2 * P)
  const across = Math.ceil(P / 64)
  machine.run(s5Kernel(args.direction === 'reverse', !!state), {
    tensors: {
      u: gpu(args.u, T, 2 * P),
      Lambda: gpu(args.Lambda, P, 2),
      log_step: gpu(args.log_step, 1, P),
      y,
      ...(state && { state }),
    },
    tables: { parts: table },
    numbers: { P, across },
    blocks: across * parts.length,
  })
  return y
}
