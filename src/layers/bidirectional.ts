import type { Backend, Segments, Tensor } from '../backends/backend.js'
import type { BidirectionalSpec } from '../spec.js'
import { MambaBranch } from './mamba.js'
import type { BlockState, Mixer, ScanState } from './mixer.js'
import type { Params } from './params.js'

/**
 * BiMamba (Caduceus, arXiv 2403.03234): one Mamba reads left to right, one right to left, and their outputs are added
 * or multiplied. Tied projections are computed once: with `add`, out_proj(y_f + y_r) = out_proj(y_f) + out_proj(y_r).
 */
export class Bidirectional implements Mixer {
  private readonly left: MambaBranch
  private readonly right: MambaBranch
  private readonly leftParams: Params
  private readonly rightParams: Params

  constructor(
    private readonly spec: BidirectionalSpec,
    params: Params,
  ) {
    this.leftParams = params.within('forward')
    this.rightParams = spec.tied ? this.leftParams : params.within('reverse')
    this.left = new MambaBranch(spec.mamba, this.leftParams, 'forward')
    this.right = new MambaBranch(spec.mamba, params.within('reverse'), 'reverse')
  }

  zeroState(b: Backend): BlockState {
    return { forward: this.left.zeroState(b), reverse: this.right.zeroState(b) }
  }

  async forward(
    b: Backend,
    x: Tensor,
    residual: Tensor | null,
    segments: Segments,
    state: BlockState | null,
  ): Promise<Tensor> {
    const xz = await project(b, x, this.leftParams) // [T, 2E]
    const xzRight = this.spec.tied ? xz : await project(b, x, this.rightParams)
    const shared = this.spec.tied && this.spec.combine === 'add'
    const y = await this.left.forward(b, xz, segments, state?.forward ?? null) // [T, E]
    const yRight = await this.right.forward(b, xzRight, segments, state?.reverse ?? null, shared ? y : undefined)
    const out = await this.merge(b, y, yRight, residual, shared)
    b.release(xz, y)
    if (xzRight !== xz) b.release(xzRight)
    if (yRight !== y) b.release(yRight)
    return out
  }

  async sweepReverse(b: Backend, x: Tensor, segments: Segments, state: ScanState): Promise<void> {
    const xz = await project(b, x, this.rightParams)
    const y = await this.right.forward(b, xz, segments, state)
    b.release(xz, y)
  }

  /** [T, E] twice -> [T, D] */
  private async merge(
    b: Backend,
    y: Tensor,
    yRight: Tensor,
    residual: Tensor | null,
    shared: boolean,
  ): Promise<Tensor> {
    const left = this.leftParams
    const right = this.rightParams
    if (shared) {
      // out_proj adds its bias once per direction.
      const bias = left.optional('out_proj.bias')
      const twice = bias && b.combine(bias, bias, 'add')
      const out = await b.linear(y, left.get('out_proj.weight'), { bias: twice, residual })
      b.release(twice)
      return out
    }
    const add = this.spec.combine === 'add'
    const outLeft = await b.linear(y, left.get('out_proj.weight'), {
      bias: left.optional('out_proj.bias'),
      residual: add ? residual : null,
    })
    const outRight = await b.linear(yRight, right.get('out_proj.weight'), {
      bias: right.optional('out_proj.bias'),
      residual: add ? outLeft : null,
    })
    if (add) {
      b.release(outLeft)
      return outRight
    }
    const product = b.combine(outLeft, outRight, 'multiply')
    b.release(outLeft, outRight)
    if (!residual) return product
    const out = b.combine(product, residual, 'add')
    b.release(product)
    return out
  }
}

function project(b: Backend, x: Tensor, params: Params): Promise<Tensor> {
  return b.linear(x, params.get('in_proj.weight'), { bias: params.optional('in_proj.bias') })
}
