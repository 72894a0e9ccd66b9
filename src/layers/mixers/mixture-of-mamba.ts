import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import { kind, record, whole } from '../../text/schema.js'
import type { Params } from '../params.js'
import { initialiseInner, innerWeights, projectIn, projectOut } from './inner.js'
import { type MambaSpec, mamba, mambaInner, mambaSchema } from './mamba.js'
import type { Family, Mixer, MixerState, Projected, StateShape } from './mixer.js'

/**
 * Mixture-of-Mamba (arXiv 2501.16295): a Mamba with projections (in, x, dt, out) of its own for each modality; convolution, A, D and
 * state are shared.
 */
export interface MixtureOfMambaSpec {
  kind: 'mixture-of-mamba'
  /** How many there are; segments name them by numbers from 0 on. */
  modalities: number
  mamba: MambaSpec
}

/** Weights: those of a Mamba, but its projections once for each modality, after its number: `0.in_proj.weight`. */
export const mixtureOfMamba: Family<MixtureOfMambaSpec> = {
  kind: 'mixture-of-mamba',
  schema: record({ kind: kind('mixture-of-mamba'), modalities: whole(1, 64), mamba: mambaSchema }),
  causal: () => true,
  weights: ({ modalities, mamba }, D) =>
    innerWeights(mambaInner, mamba, D).flatMap((shape) =>
      namesOf(shape.name, modalities).map((name, modality) =>
        name === shape.name ? shape : { ...shape, name, modality },
      ),
    ),
  // Where modalities come together: the rows of one, and the chunk that they are put back into.
  widths: (spec, D) => [...mamba.widths(spec.mamba, D), ...[D, 1, spec.mamba.d_inner, spec.mamba.d_inner, D, D]],
  modalities: ({ modalities }) => modalities,
  initialise: ({ modalities, mamba }, D, random, branches) => {
    const each = Array.from({ length: modalities }, () => initialiseInner(mambaInner, mamba, D, random, branches))
    return new Map(
      [...each[0].keys()].flatMap((name) =>
        namesOf(name, modalities).map((own, m) => [own, each[m].get(name)!] as const),
      ),
    )
  },
  make: (spec, params) => new MixtureOfMamba(spec, params),
}

/** The names of a weight of a Mamba: its own, or one for each modality. */
const namesOf = (name: string, modalities: number): string[] =>
  /^(in|x|dt|out)_proj\./.test(name) ? Array.from({ length: modalities }, (_, m) => `${m}.${name}`) : [name]

/** As many Mambas as a chunk has modalities, each on the segments of its own: no two of them share a state. */
class MixtureOfMamba implements Mixer {
  readonly directions = ['forward'] as const

  constructor(
    private readonly spec: MixtureOfMambaSpec,
    private readonly params: Params,
  ) {}

  states(): Record<string, StateShape> {
    return mambaInner.states(this.spec.mamba)
  }

  async project(b: Backend, x: Tensor, segments: Segments): Promise<Projected> {
    const projected: Projected = {}
    for (const share of sharesOf(segments)) {
      const own = rowsOf(b, x, share)
      projected[share.modality] = await projectIn(b, own, this.of(share))
      if (own !== x) b.release(own)
    }
    return projected
  }

  scan(b: Backend, projected: Projected, segments: Segments, direction: Direction, state: MixerState | null) {
    const { mamba } = this.spec
    return joined(b, segments, (share) =>
      mambaInner.scan(b, mamba, this.of(share), projected[share.modality], share.segments, direction, state),
    )
  }

  finish(b: Backend, _: Projected, [y]: readonly Tensor[], residual: Tensor | null, segments: Segments) {
    return joined(b, segments, async (share) => {
      const [own, before] = [rowsOf(b, y, share), residual && rowsOf(b, residual, share)]
      const out = await projectOut(b, own, this.of(share), before)
      if (share.rows) b.release(own, before)
      return out
    })
  }

  private of({ modality }: Share): Params {
    return this.params.within(`${modality}`, this.params)
  }
}

/** The segments of one modality. */
interface Share {
  modality: number
  segments: Segments
  /** Their rows in the chunk; null: all of it. */
  rows: Int32Array | null
}

function sharesOf(segments: Segments): Share[] {
  const { offsets, start, ends, slot, modality = Int32Array.of(0) } = segments
  const present = [...new Set(modality)].sort((a, b) => a - b)
  if (present.length === 1) return [{ modality: present[0], segments, rows: null }]
  return present.map((one) => {
    const own = [...modality.keys()].filter((s) => modality[s] === one)
    const length = (s: number) => offsets[s + 1] - offsets[s]
    const ownOffsets = new Int32Array(own.length + 1)
    for (const [i, s] of own.entries()) ownOffsets[i + 1] = ownOffsets[i] + length(s)
    const ofOwn = {
      offsets: ownOffsets,
      start: Float64Array.from(own, (s) => start[s]),
      ends: Uint8Array.from(own, (s) => ends[s]),
      slot: Int32Array.from(own, (s) => slot[s]),
    }
    const rows = own.flatMap((s) => Array.from({ length: length(s) }, (_, r) => offsets[s] + r))
    return { modality: one, segments: ofOwn, rows: Int32Array.from(rows) }
  })
}

/** Of rows of the chunk those of a share. */
const rowsOf = (b: Backend, x: Tensor, { rows }: Share): Tensor => (rows ? b.gatherRows(x, rows) : x)

/** What is computed of each share, as rows of the chunk. */
async function joined(b: Backend, segments: Segments, compute: (share: Share) => Promise<Tensor>): Promise<Tensor> {
  const shares = sharesOf(segments)
  if (shares.length === 1) return compute(shares[0])
  const T = segments.offsets[segments.offsets.length - 1]
  const ones = b.upload(new Float32Array(T).fill(1), T, 1)
  let all: Tensor | null = null
  for (const share of shares) {
    const own = await compute(share)
    all ??= negativeZeros(b, T, own.cols)
    b.addRows(all, own, share.rows!, ones)
    b.release(own)
  }
  b.release(ones)
  return all!
}

/** What is added to -0 keeps all its bits; added to 0, a -0 would become 0. */
function negativeZeros(b: Backend, rows: number, cols: number): Tensor {
  const zeros = b.zeros(rows, cols)
  const negative = b.scale(zeros, -1)
  b.release(zeros)
  return negative
}
