import type { MoeSpec } from '../../spec.js'
import { linear } from '../initial.js'
import type { FeedForward } from './feed-forward.js'
import { mlp, mlpWeights } from './gated-mlp.js'

/**
 * Mixture of experts (arXiv 1701.06538): of each row the router picks the experts that compute it, gated MLPs. Which rows an expert gets
 * is decided on the host, so that it computes no others; their results are added in the order of the experts, whatever else is in the chunk.
 *
 *     router.weight [experts, D], {e}.fc1.weight [2 d_hidden, D] (rows y, then gate), {e}.fc2.weight [D, d_hidden]
 */
export const moe: FeedForward<MoeSpec> = {
  weights: ({ experts, d_hidden }, D) => [
    { name: 'router.weight', rows: experts, cols: D },
    ...each(experts).flatMap((e) =>
      mlpWeights(d_hidden, D)
        .filter(({ optional }) => !optional)
        .map((shape) => ({ ...shape, name: `${e}.${shape.name}` })),
    ),
  ],
  // All rows may go to one expert.
  widths: ({ experts, d_hidden: H }, D) => [experts, experts, D, 2 * H, H, D, D],
  initialise: ({ experts, d_hidden: H }, D, random, branches) =>
    new Map([
      ['router.weight', linear(random, experts, D)] as const,
      ...each(experts).flatMap((e) => [
        [`${e}.fc1.weight`, linear(random, 2 * H, D)] as const,
        [`${e}.fc2.weight`, linear(random, D, H, Math.sqrt(branches))] as const,
      ]),
    ]),
  async forward(b, { experts, active, d_hidden, over }, params, x, residual) {
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
    return y
  },
}

const each = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
