import type { FloatArray } from '../backends/backend.js'
import { type Input, type OnRows, piece } from './chunk.js'
import type { Network, OnHidden } from './network.js'

/**
 * Runs one sequence that is longer than a chunk through a bidirectional network, exactly, layer by layer over a spool of
 * the residual stream in RAM ([L', D] numbers). Each layer is swept twice: right to left, to learn the reverse state at
 * every chunk border; then left to right, with the carried forward state and the kept reverse one.
 *
 * `chunk`: tokens per piece, a multiple of the network's stride. `onRows` gets the final hidden rows [T', D] in reading order.
 */
export async function sweep(
  network: Network,
  input: Input,
  chunk: number,
  onRows: OnRows,
  onHidden?: OnHidden,
): Promise<void> {
  const b = network.backend
  const state = network.zeroState()
  const spool: FloatArray[] = []
  const rows: number[] = []
  const length = network.length(input)
  for (let from = 0; from < length; from += chunk) {
    const to = Math.min(from + chunk, length)
    const { x } = await network.enter(network.slice(input, from, to), piece(from, to, length), state, onHidden)
    spool.push(await b.download(x))
    rows.push(x.rows)
    b.release(x)
  }
  const last = spool.length - 1
  const segmentsOf = (c: number) => ({
    offsets: Int32Array.of(0, rows[c]),
    continues: c > 0,
    goesOn: c < last,
  })
  const load = (c: number) => b.upload(spool[c], rows[c], network.spec.d_model)

  for (const [i, block] of network.blocks.entries()) {
    const blockState = state.blocks[i]
    const borders: { conv: FloatArray; ssm: FloatArray }[] = []
    const { reverse } = blockState
    if (reverse) {
      for (let c = last; c > 0; c--) {
        const x = load(c)
        await block.sweepReverse(b, x, segmentsOf(c), reverse)
        borders[c - 1] = { conv: await b.download(reverse.conv), ssm: await b.download(reverse.ssm) }
        b.release(x)
      }
    }
    for (let c = 0; c <= last; c++) {
      const kept = reverse &&
        c < last && {
          conv: b.upload(borders[c].conv, reverse.conv.rows, reverse.conv.cols),
          ssm: b.upload(borders[c].ssm, reverse.ssm.rows, reverse.ssm.cols),
        }
      const direction = { forward: blockState.forward, reverse: kept || reverse }
      const x = await network.runBlock(i, load(c), segmentsOf(c), direction, onHidden)
      spool[c] = await b.download(x)
      b.release(x)
      if (kept) b.release(kept.conv, kept.ssm)
    }
  }
  for (let c = 0; c <= last; c++) {
    const hidden = await network.leave(load(c), segmentsOf(c), onHidden)
    await onRows(hidden, segmentsOf(c))
    b.release(hidden)
  }
  network.releaseState(state)
}
