import type { Backend, Direction, Segments, Tensor } from '../backends/backend.js'
import type { MambaSpec } from '../spec.js'
import type { BlockState, Mixer, ScanState } from './mixer.js'
import type { Params } from './params.js'

/** The part of a Mamba between its projections: convolution, x_proj, dt_proj, selective scan, gate (arXiv 2312.00752, fig. 3). */
export class MambaBranch {
  constructor(
    private readonly spec: MambaSpec,
    private readonly params: Params,
    private readonly direction: Direction,
  ) {}

  zeroState(b: Backend): ScanState {
    const { d_conv, d_inner, d_state } = this.spec
    return { conv: b.zeros(d_conv, d_inner), ssm: b.zeros(d_inner, d_state) }
  }

  /** xz [T, 2E] -> y [T, E]; with `addTo` [T, E], y is added to it. */
  async forward(b: Backend, xz: Tensor, segments: Segments, state: ScanState | null, addTo?: Tensor): Promise<Tensor> {
    const { d_inner: E, d_state: N, dt_rank: R, bcdt_norm_eps } = this.spec
    const p = this.params
    const u = b.causalConv(b.columns(xz, 0, E), p.get('conv.weight'), p.optional('conv.bias'), {
      segments,
      direction: this.direction,
      activation: 'silu',
      state: state?.conv ?? null,
    }) // [T, E]
    const dtBC = await b.linear(u, p.get('x_proj.weight')) // [T, R + 2N]
    let parts = [b.columns(dtBC, 0, R), b.columns(dtBC, R, R + N), b.columns(dtBC, R + N, R + 2 * N)]
    if (bcdt_norm_eps !== undefined) {
      const eps = bcdt_norm_eps
      parts = parts.map((part) => b.norm(part, { kind: 'rms', eps }, null, null))
    }
    const [dtLow, B, C] = parts
    const dt = await b.linear(dtLow, p.get('dt_proj.weight')) // [T, E]
    const y = b.selectiveScan(
      {
        u,
        dt,
        A_log: p.get('A_log'),
        B,
        C,
        D: p.get('D'),
        z: b.columns(xz, E, 2 * E),
        dtBias: p.get('dt_proj.bias'),
        softplus: true,
        segments,
        direction: this.direction,
      },
      state?.ssm ?? null,
      addTo,
    )
    b.release(u, dt, ...parts, dtBC)
    return y
  }
}

/** Mamba-1 mixer, left to right. */
export class Mamba implements Mixer {
  private readonly branch: MambaBranch

  constructor(
    spec: MambaSpec,
    private readonly params: Params,
  ) {
    this.branch = new MambaBranch(spec, params, 'forward')
  }

  zeroState(b: Backend): BlockState {
    return { forward: this.branch.zeroState(b), reverse: null }
  }

  async forward(
    b: Backend,
    x: Tensor,
    residual: Tensor | null,
    segments: Segments,
    state: BlockState | null,
  ): Promise<Tensor> {
    const xz = await b.linear(x, this.params.get('in_proj.weight'), { bias: this.params.optional('in_proj.bias') })
    const y = await this.branch.forward(b, xz, segments, state?.forward ?? null)
    const out = await b.linear(y, this.params.get('out_proj.weight'), {
      bias: this.params.optional('out_proj.bias'),
      residual,
    })
    b.release(xz, y)
    return out
  }
}
