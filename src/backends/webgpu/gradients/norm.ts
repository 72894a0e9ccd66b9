import type { Gradients } from '../../backend.js'
import { groupsOf } from '../../norm-groups.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { statistics, total } from '../norm.js'
import { columnsOf, type GpuTensor, gpu, optional } from '../tensor.js'
import { foldRows } from './fold.js'

interface Shape {
  center: boolean
  weight: boolean
  dx: boolean
  dWeight: boolean
}

/** A workgroup for each row. `weighed` [T, cols]: what each row adds to the gradient of the weight. */
const kernel = ({ center, weight, dx, dWeight }: Shape): Kernel => ({
  name: `norm gradient ${center} ${weight} ${dx} ${dWeight}`,
  reads: ['d', 'x', ...(weight ? ['weight'] : [])],
  writes: [...(dx ? ['dx'] : []), ...(dWeight ? ['weighed'] : [])],
  counts: ['cols'],
  reals: ['eps'],
  threads: 64,
  library: total,
  body: `${statistics(center)}
  let given = p.d_at + block * p.d_step;
  ${
    dx
      ? `
  var all = 0.0;
  var along = 0.0;
  for (var c = lane; c < p.cols; c += 64u) {
    let one = d[given + c]${weight ? ' * weight[p.weight_at + c]' : ''};
    all += one;
    along += one * (x[row + c] - mean) * factor;
  }
  ${center ? 'all = total(lane, all) / f32(p.cols);' : 'all = 0.0;'}
  along = total(lane, along) / f32(p.cols);`
      : ''
  }
  for (var c = lane; c < p.cols; c += 64u) {
    let scaled = (x[row + c] - mean) * factor;
    ${dWeight ? 'weighed[block * p.cols + c] = d[given + c] * scaled;' : ''}
    ${dx ? `dx[p.dx_at + block * p.dx_step + c] += factor * (d[given + c]${weight ? ' * weight[p.weight_at + c]' : ''} - all - scaled * along);` : ''}
  }`,
})

export const normGradient =
  (machine: Machine): Gradients['norm'] =>
  (dy, input, spec, weights, into) => {
    const { rows, cols } = input
    const [d, x, weight] = [gpu(dy, rows, cols), gpu(input), optional(weights, 1, cols)]
    const [dx, dWeight] = [optional(into.dx, rows, cols), optional(into.dWeight, 1, cols)]
    foldRows(machine, d, optional(into.dBias, 1, cols))
    if (!dx && !dWeight) return
    for (const [from, to] of groupsOf(cols, spec.groups)) {
      const part = (whole: GpuTensor) => columnsOf(whole, from, to)
      const weighed = dWeight && machine.allocate(rows, to - from)
      machine.run(kernel({ center: spec.kind === 'layer', weight: !!weight, dx: !!dx, dWeight: !!dWeight }), {
        tensors: {
          d: part(d),
          x: part(x),
          ...(weight && { weight: part(weight) }),
          ...(dx && { dx: part(dx) }),
          ...(weighed && { weighed }),
        },
        numbers: { cols: to - from, eps: spec.eps },
        blocks: rows,
      })
      if (!weighed) continue
      foldRows(machine, weighed, part(dWeight))
      machine.release(weighed)
    }
  }
