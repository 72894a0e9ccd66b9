import type { Segments } from '../backends/backend.js'
import { type Chunk, type Input, type OnRows, piece } from './chunk.js'
import type { Network, NetworkState, OnHidden } from './network.js'
import { sweep } from './sweep.js'

/**
 * Runs chunks in the order they come, and carries the state of a sequence that is cut over several. A causal network
 * streams; a bidirectional one sweeps a sequence that is longer than `chunk` tokens and takes no cut sequence.
 */
export class Runner {
  constructor(
    readonly network: Network,
    private readonly chunk: number,
    /** Where the cut sequence stands. */
    readonly state: NetworkState = network.zeroState(),
  ) {
    if (chunk % network.stride !== 0) throw new Error(`chunk ${chunk} is no multiple of the stride ${network.stride}`)
  }

  async run({ input, segments }: Chunk, onRows: OnRows, onHidden?: OnHidden): Promise<void> {
    const { network } = this
    const cut = segments.continues || segments.goesOn
    if (network.bidirectional && cut) throw new Error('a bidirectional network needs whole sequences')
    if (network.length(input) <= this.chunk) {
      // Whole sequences have no use for a state; without one the kernels need not keep it.
      const out = await network.forward(input, segments, cut ? this.state : null, onHidden)
      await onRows(out.hidden, out.segments)
      network.backend.release(out.hidden)
      return
    }
    if (segments.offsets.length !== 2) throw new Error('only a single sequence may be longer than a chunk')
    if (network.bidirectional) await sweep(network, input, this.chunk, onRows, onHidden)
    else await this.stream(input, segments, onRows, onHidden)
  }

  private async stream(input: Input, segments: Segments, onRows: OnRows, onHidden?: OnHidden): Promise<void> {
    const { network } = this
    const length = network.length(input)
    for (let from = 0; from < length; from += this.chunk) {
      const to = Math.min(from + this.chunk, length)
      const part = piece(from, to, length)
      const cut = { ...part, continues: part.continues || segments.continues, goesOn: part.goesOn || segments.goesOn }
      await this.run({ input: network.slice(input, from, to), segments: cut }, onRows, onHidden)
    }
  }
}
