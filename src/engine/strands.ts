import type { FloatArray } from '../backends/backend.js'
import { pieceOf, type Segments } from '../backends/segments.js'
import { mergeHidden, mergeLogits, reverseComplementIds } from '../layers/reverse-complement.js'
import { discard } from '../runtime/discard.js'
import type { ModelSpec } from '../spec.js'
import type { Chunk } from './chunk.js'
import { headWidth } from './footprint.js'
import { KeptSweep, tellAgain } from './kept-sweep.js'
import type { Neighbour, Neighbours, Numbers } from './neighbour.js'
import type { Network } from './network.js'
import type { Output } from './outputs.js'
import { type Observer, observerOf, type Reading } from './reader.js'
import { openSpool, type Spool, type SpoolPlace } from './spool.js'
import { cutsOf, refuseSeveral, runTogether, sweep } from './sweep.js'

/**
 * Caduceus-PS: whole sequences on their ids, then on their reverse complement. What each run gives for the outputs waits in a spool, the
 * other strand cut where this one is, and is then merged and read chunk by chunk.
 */
export async function* runBothStrands(
  network: Network,
  chunk: Chunk,
  outputs: readonly Output[],
  limit: number,
  place: SpoolPlace,
  reading: Reading,
  neighbours?: Neighbours,
): AsyncGenerator<void> {
  const { backend: b, spec } = network
  const length = network.length(chunk.input)
  const cut = neighbours !== undefined || length > limit
  if (cut) refuseSeveral(chunk.segments)
  const cuts = cut ? cutsOf(length, limit) : [0, length]
  const chunks = cuts.length - 1
  const size = {
    blocks: chunks * outputs.length,
    numbers: Math.min(length, limit) * Math.max(spec.d_model, headWidth(spec)),
  }
  const kept: Spool[] = []
  try {
    for (const other of [false, true]) {
      const strand = other ? otherStrand(chunk, spec, neighbours) : chunk
      const saved =
        place.kept === undefined ? undefined : await KeptSweep.open(`${place.kept}.${other ? 'other' : 'one'}`)
      const rows = await (saved?.spool(b, 'rows', size.numbers) ?? openSpool(b, size, place))
      kept.push(rows)
      const observer = keeping(network, outputs, rows, chunks)
      const beside = other ? turned(neighbours, 1 + spec.blocks.length) : neighbours
      if (saved?.over) tellAgain(saved, beside)
      else if (cut)
        yield* sweep(network, strand, cutsOf(length, limit, other), place, observer, { neighbours: beside, saved })
      else yield* runTogether(network, strand, observer)
      if (saved && !saved.over) await saved.finish([0, size.blocks])
    }
    const [ofG, ofR] = kept
    for (let c = 0; c < chunks; c++) {
      const [from, to] = [cuts[c], cuts[c + 1]]
      const segments = cut ? pieceOf(chunk.segments, from, to, 0) : chunk.segments
      for (const [i, output] of outputs.entries()) {
        const g = await numbersOf(network, ofG, i * chunks + c)
        const r = await numbersOf(network, ofR, i * chunks + chunks - 1 - c)
        const { data, width } = mergedRows(g, r, segments, output, spec)
        const rows = b.upload(data, to - from, width)
        for (const numbers of [g.data, r.data, data]) discard(numbers.buffer as ArrayBuffer)
        await reading.read(i, rows, segments)
        b.release(rows)
      }
      yield
    }
  } finally {
    for (const spool of kept) await spool.close()
  }
}

/** Whether it is logits that are merged: those of tokens are, row by row. */
const mergesLogits = ({ head }: Output, spec: ModelSpec) => head === true && spec.head?.kind === 'tokens'

/** What is still to be read of merged rows: the head of classes reads hidden ones, of both strands. */
export const ofMerged = (output: Output, spec: ModelSpec): Output => ({
  ...output,
  layer: undefined,
  head: output.head && !mergesLogits(output, spec),
})

/** Puts what output i reads of chunk c into block i * chunks + c. */
function keeping(network: Network, outputs: readonly Output[], spool: Spool, chunks: number): Observer {
  const next = outputs.map((_, i) => i * chunks)
  return observerOf(outputs, async (i, rows) => {
    const values = mergesLogits(outputs[i], network.spec) ? await network.head(rows) : rows
    await spool.put(next[i]++, values)
    if (values !== rows) network.backend.release(values)
  })
}

interface Rows {
  data: FloatArray
  width: number
}

async function numbersOf({ backend }: Network, spool: Spool, block: number): Promise<Rows> {
  const [x] = await spool.get(block)
  const data = await backend.download(x)
  backend.release(x)
  return { data, width: x.cols }
}

/** As the other strand is read, so many steps later: a half of it that began the one ends the other. */
function turned({ left, right }: Neighbours = {}, steps: number): Neighbours {
  const later = (neighbour: Neighbour | undefined) =>
    neighbour && {
      tokens: neighbour.tokens,
      send: (step: number, numbers: Numbers) => neighbour.send(steps + step, numbers),
      receive: (step: number) => neighbour.receive(steps + step),
    }
  return { left: later(right), right: later(left) }
}

/** The reverse complement of each sequence, in its place; of a half, as that of the other strand which it becomes. */
function otherStrand(
  { input, segments }: Chunk,
  { reverse_complement: rc }: ModelSpec,
  { left, right }: Neighbours = {},
): Chunk {
  if (!rc || !(input instanceof Int32Array)) throw new Error('this model does not run on both strands')
  const { offsets } = segments
  const other = new Int32Array(input.length)
  for (let s = 0; s + 1 < offsets.length; s++) {
    other.set(reverseComplementIds(input.subarray(offsets[s], offsets[s + 1]), rc.complement), offsets[s])
  }
  if (!left && !right) return { input: other, segments }
  const [start, ends] = [Float64Array.of(right?.tokens ?? 0), Uint8Array.of(right ? 1 : 0)]
  return { input: other, segments: { ...segments, start, ends } }
}

/** What the official code gives for an output, from the rows of both runs: logits [T, V], or hidden rows [T, 2D]. */
function mergedRows(g: Rows, r: Rows, { offsets }: Segments, output: Output, spec: ModelSpec): Rows {
  const { layer } = output
  const logits = mergesLogits(output, spec)
  const { listed } = spec.hidden_states
  const blocks = layer === undefined || layer > listed ? spec.blocks.length : layer
  const width = logits ? g.width : 2 * g.width
  const data = new Float32Array((g.data.length / g.width) * width)
  for (let s = 0; s + 1 < offsets.length; s++) {
    const [from, to] = [offsets[s] * g.width, offsets[s + 1] * g.width]
    const [ofG, ofR] = [g.data.subarray(from, to), r.data.subarray(from, to)]
    data.set(logits ? mergeLogits(ofG, ofR, spec) : mergeHidden(ofG, ofR, spec, blocks), offsets[s] * width)
  }
  return { data, width }
}
