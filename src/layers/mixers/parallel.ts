import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import type { MixerSpec } from '../../spec.js'
import { kind, kinds, list, record } from '../../text/schema.js'
import type { Family, Mixer, MixerState, Projected, StateShape } from './mixer.js'

/** The sum of what several causal mixers make of one input, as in Falcon-H1 (arXiv 2507.22448). */
export interface ParallelSpec {
  kind: 'parallel'
  mixers: MixerSpec[]
}

export const isParallel = (mixer: MixerSpec): mixer is ParallelSpec => mixer.kind === 'parallel'

/** Weights: those of each mixer after its number. `families`: of the mixers that it may have. */
export function parallel(families: readonly Family[]): Family<ParallelSpec> {
  const familyOf = ({ kind }: MixerSpec): Family => families.find((family) => family.kind === kind)!
  const isCausal = (mixer: MixerSpec) => familyOf(mixer).causal(mixer)
  const named = <X>(each: Iterable<readonly [string, X]>, i: number) =>
    [...each].map(([name, x]) => [`${i}.${name}`, x] as const)
  return {
    kind: 'parallel',
    schema: record({
      kind: kind('parallel'),
      mixers: v.pipe(
        list(kinds(families.map(({ schema }) => schema)) as v.GenericSchema<MixerSpec>, { least: 2, most: 16 }),
        v.check((mixers) => mixers.every(isCausal), 'mixers that read forward only'),
      ),
    }),
    causal: () => true,
    weights: ({ mixers }, D) =>
      mixers.flatMap((mixer, i) =>
        familyOf(mixer)
          .weights(mixer, D)
          .map((shape) => ({ ...shape, name: `${i}.${shape.name}` })),
      ),
    widths: ({ mixers }, D) => [...mixers.flatMap((mixer) => familyOf(mixer).widths(mixer, D)), D, D],
    cached: ({ mixers }) =>
      mixers
        .flatMap((mixer) => familyOf(mixer).cached?.(mixer) ?? [])
        .reduce((a, b) => ({ rows: Math.max(a.rows, b.rows), numbers: a.numbers + b.numbers }), {
          rows: 0,
          numbers: 0,
        }),
    modalities: ({ mixers }) => Math.min(...mixers.map((mixer) => familyOf(mixer).modalities?.(mixer) ?? Infinity)),
    initialise: ({ mixers }, D, random, branches) =>
      new Map(mixers.flatMap((mixer, i) => named(familyOf(mixer).initialise(mixer, D, random, branches), i))),
    make: ({ mixers }, params) =>
      new Parallel(mixers.map((mixer, i) => familyOf(mixer).make(mixer, params.within(`${i}`)))),
  }
}

class Parallel implements Mixer {
  readonly directions = ['forward'] as const
  /** Of each mixer its names of states and ours: the same but for one that an earlier mixer has, which is numbered. */
  private readonly names: [own: string, ours: string][][] = []

  constructor(private readonly mixers: readonly Mixer[]) {
    const taken = new Set<string>()
    for (const [i, mixer] of mixers.entries()) {
      const own = Object.keys(mixer.states('forward'))
      this.names.push(own.map((name) => [name, taken.has(name) ? `${i}.${name}` : name]))
      for (const name of own) taken.add(name)
    }
  }

  states(): Record<string, StateShape> {
    const all: Record<string, StateShape> = {}
    for (const [i, mixer] of this.mixers.entries())
      for (const [own, ours] of this.names[i]) all[ours] = mixer.states('forward')[own]
    return all
  }

  async project(b: Backend, x: Tensor, segments: Segments): Promise<Projected> {
    const all: Projected = {}
    for (const [i, mixer] of this.mixers.entries())
      for (const [name, tensor] of Object.entries(await mixer.project(b, x, segments))) all[`${i}.${name}`] = tensor
    return all
  }

  /** The sum [T, D]. */
  async scan(b: Backend, projected: Projected, segments: Segments, direction: Direction, state: MixerState | null) {
    let sum: Tensor | null = null
    for (const [i, mixer] of this.mixers.entries()) {
      const mine = picked(projected, `${i}.`)
      const carried = state && Object.fromEntries(this.names[i].map(([own, ours]) => [own, state[ours]]))
      const y = await mixer.scan(b, mine, segments, direction, carried, [])
      // A cache may have grown.
      for (const [own, ours] of carried ? this.names[i] : []) state![ours] = carried![own]
      const next: Tensor = await mixer.finish(b, mine, [y], sum, segments)
      b.release(y, sum)
      sum = next
    }
    return sum!
  }

  async finish(b: Backend, _: Projected, [y]: readonly Tensor[], residual: Tensor | null): Promise<Tensor> {
    return residual ? b.combine(y, residual, 'add') : b.activate(y, 'none')
  }
}

/** Entries whose names begin with a prefix, without it. */
const picked = (all: Projected, prefix: string): Projected =>
  Object.fromEntries(
    Object.entries(all).flatMap(([name, x]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), x]] : [])),
  )
