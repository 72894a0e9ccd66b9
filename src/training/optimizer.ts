import type { Backend, FloatArray, Tensor } from '../backends/backend.js'
import { peakOf } from './parts.js'
import type { Regime } from './settings.js'

/** Where AdamW stands for one parameter, on the host. */
export interface Moments {
  m: FloatArray
  v: FloatArray
}

/** AdamW (arXiv 1711.05101) with clipping by the global norm, over named parameters on one backend. */
export class Optimizer {
  readonly #moments: Map<string, { m: Tensor; v: Tensor }>

  constructor(
    private readonly backend: Backend,
    private readonly parameters: ReadonlyMap<string, Tensor>,
    private readonly settings: Pick<Regime, 'lr' | 'part_lr' | 'warmup' | 'beta1' | 'beta2' | 'weight_decay' | 'clip'>,
    moments: ReadonlyMap<string, Moments>,
  ) {
    const place = ({ rows, cols }: Tensor, data?: FloatArray) =>
      data ? backend.upload(data, rows, cols) : backend.zeros(rows, cols)
    this.#moments = new Map(
      [...parameters].map(([name, p]) => [
        name,
        { m: place(p, moments.get(name)?.m), v: place(p, moments.get(name)?.v) },
      ]),
    )
  }

  /** One step of `steps`, counted from 1. `gradients`: of every parameter, by its name. Returns their norm before clipping. */
  async apply(gradients: ReadonlyMap<string, Tensor>, step: number, steps: number): Promise<number> {
    const norm = await this.backend.gradients!.globalNorm([...gradients.values()])
    const { warmup, beta1, beta2, clip, weight_decay } = this.settings
    for (const [name, parameter] of this.parameters) {
      const { m, v } = this.#moments.get(name)!
      this.backend.gradients!.adamw(parameter, gradients.get(name)!, m, v, {
        lr: learningRate(step, steps, { lr: peakOf(name, this.settings), warmup }),
        beta1,
        beta2,
        eps: 1e-8,
        weightDecay: decays(name) ? weight_decay : 0,
        step,
        scale: norm > clip ? clip / norm : 1,
      })
    }
    return norm
  }

  async moments(): Promise<Map<string, Moments>> {
    const out = new Map<string, Moments>()
    for (const [name, { m, v }] of this.#moments)
      out.set(name, { m: await this.backend.download(m), v: await this.backend.download(v) })
    return out
  }
}

/** No weight decay on A_log, D, norms and biases, as in state-spaces/mamba. */
export function decays(name: string): boolean {
  return name.endsWith('.weight') && !/norm(_f|2)?\.weight$/.test(name)
}

/**
 * Learning rate of a step counted from 1: a straight rise over the warm-up, then half a cosine to 0 after the last
 * step.
 */
export function learningRate(step: number, steps: number, { lr, warmup }: Pick<Regime, 'lr' | 'warmup'>): number {
  const rise = Math.round(warmup * steps)
  if (step <= rise) return (lr * step) / rise
  return (lr / 2) * (1 + Math.cos((Math.PI * (step - rise - 1)) / Math.max(1, steps - rise)))
}
