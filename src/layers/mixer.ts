import type { Backend, Segments, Tensor } from '../backends/backend.js'

/** What one direction of a mixer carries from chunk to chunk. */
export interface ScanState {
  /** [K, E] raw convolution inputs, newest last. */
  conv: Tensor
  /** [E, N] */
  ssm: Tensor
}

/** State of a block; a causal block has no reverse part. */
export interface BlockState {
  forward: ScanState
  reverse: ScanState | null
}

/** The sequence-mixing part of a block. All it knows of the sequence is `segments` and `state`. */
export interface Mixer {
  zeroState(b: Backend): BlockState
  /**
   * x [T, D] (normed) -> mixer(x) + residual [T, D]; a null residual adds nothing. The forward state carries from the
   * chunk on the left, the reverse state from the chunk on the right; both are updated in place.
   */
  forward(b: Backend, x: Tensor, residual: Tensor | null, segments: Segments, state: BlockState | null): Promise<Tensor>
  /** Bidirectional mixers: takes the reverse state from the right end of this chunk to its left end, and nothing else. */
  sweepReverse?(b: Backend, x: Tensor, segments: Segments, state: ScanState): Promise<void>
}
