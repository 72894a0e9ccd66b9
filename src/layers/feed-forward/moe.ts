import type { Backend, Tensor } from '../../backends/backend.js'
import type { MoeSpec } from '../../spec.js'
import { linear } from '../initial.js'
import type { Params } from '../params.js'
import type { FeedForward } from './feed-forward.js'
import { mlp, mlpWeights } from './gated-mlp.js'

/**
 * Mixture of experts (arXiv 1701.06538): of each row the router picks the experts that compute it, gated MLPs. Which rows an expert gets
 * is decided on the host, so that it computes no others; their results are added in the order of the experts, whatever else is in the chunk.
 *
 *     router.weight [experts, D], {e}.fc1.weight [2 d_hidden, D] (rows y, then gate), {e}.fc2.weight [D, d_hidden];
 *     shared_gate.weight [1, D], shared.fc1.weight, shared.fc2.weight (if there is an expert for all rows)
 */
export const moe: FeedForward<MoeSpec> = {
  weights: (spec, D) => [
    { name: 'router.weight', rows: spec.experts, cols: D },
    ...expertsOf(spec).flatMap(({ name, d_hidden }) =>
      mlpWeights(d_hidden, D)
        .filter(({ optional }) => !optional)
        .map((shape) => ({ ...shape, name: `${name}.${shape.name}` })),
    ),
    ...(spec.d_shared === undefined ? [] : [{ name: 'shared_gate.weight', rows: 1, cols: D }]),
  ],
  // All rows may go to one expert.
  widths: ({ experts, d_hidden, d_shared = 0 }, D) => {
    const H = Math.max(d_hidden, d_shared)
    return [experts, experts, D, 2 * H, H, D, D, ...(d_shared > 0 ? [3] : [])]
  },
  initialise: (spec, D, random, branches) =>
    new Map([
      ['router.weight', linear(random, spec.experts, D)] as const,
      ...expertsOf(spec).flatMap(({ name, d_hidden: H }) => [
        [`${name}.fc1.weight`, linear(random, 2 * H, D)] as const,
        [`${name}.fc2.weight`, linear(random, D, H, Math.sqrt(branches))] as const,
      ]),
      ...(spec.d_shared === undefined ? [] : [['shared_gate.weight', linear(random, 1, D)] as const]),
    ]),
  async forward(b, { experts, active, d_hidden, over, d_shared }, params, x, residual) {
    const logits = await b.linear(x, params.get('router.weight')) // [T, experts]
    const shares = b.route(logits, active, over)
    const onHost = await b.download(shares)
    const y = residual ? b.activate(residual, 'none') : b.zeros(x.rows, x.cols)
    const all = each(x.rows)
    for (let e = 0; e < experts; e++) {
      const rows = Int32Array.from(all.filter((t) => onHost[t * experts + e] !== 0))
      if (rows.length === 0) continue
      const given = b.gatherRows(x, rows)
      const out = await mlp(b, d_hidden, params.within(`${e}`), given, null)
      b.addRows(y, out, rows, b.columns(shares, e, e + 1))
      b.release(given, out)
    }
    b.release(logits, shares)
    if (d_shared !== undefined) await addShared(b, d_shared, params, x, y)
    return y
  },
}

/** y += sigmoid(shared_gate x) shared(x) */
async function addShared(b: Backend, H: number, params: Params, x: Tensor, y: Tensor): Promise<void> {
  const logits = await b.linear(x, params.get('shared_gate.weight')) // [T, 1]
  const ones = b.upload(new Float32Array(x.rows).fill(1), x.rows, 1)
  const shares = b.combine(ones, logits, 'glu')
  const out = await mlp(b, H, params.within('shared'), x, null)
  b.addRows(y, out, Int32Array.from(each(x.rows)), shares)
  b.release(logits, ones, shares, out)
}

/** Every expert by its name, with its width inside. */
const expertsOf = ({ experts, d_hidden, d_shared }: MoeSpec) => [
  ...each(experts).map((e) => ({ name: `${e}`, d_hidden })),
  ...(d_shared === undefined ? [] : [{ name: 'shared', d_hidden: d_shared }]),
]

const each = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
