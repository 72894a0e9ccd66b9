import { createHash } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { devices } from '../../src/backends/registry.js'
import { oneSegment, wholeSegments } from '../../src/backends/segments.js'
import type { Output, Read } from '../../src/engine/outputs.js'
import { Session } from '../../src/engine/session.js'
import type { BidirectionalSpec } from '../../src/layers/mixers/bidirectional.js'
import type { MambaSpec } from '../../src/layers/mixers/mamba.js'
import type { ModelSpec } from '../../src/spec.js'
import { temporaryFolder } from '../shell/run.js'
import { network, tinySpec } from './models.js'

/**
 * Where public implementations broke: kernels of Mamba-2 beyond 61 thousand tokens, and 200 to 300 thousand; 512,000; a million; 1,399,013.
 * Most are no multiple of any chunk.
 */
const lengths = [61_001, 262_143, 512_000, 1_048_576, 1_399_013]
/** The usual chunk, and one that divides no length. */
const [usual, odd] = [2048, 16_411]

const folder = temporaryFolder()
const backend = await devices.cpu.open()
afterAll(() => backend.close())

const ids = new Int32Array(lengths[lengths.length - 1])
for (let i = 0, state = 1; i < ids.length; i++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
  ids[i] = state >>> 30
}

/** One block, as small as they come: a million tokens take a second. */
function smallSpec(bidirectional: boolean): ModelSpec {
  const mamba: MambaSpec = { kind: 'mamba', d_inner: 4, d_state: 2, dt_rank: 1, d_conv: 2 }
  const both: BidirectionalSpec = { kind: 'bidirectional', mamba, combine: 'add', tied: true }
  return {
    ...tinySpec('mamba'),
    d_embed: 4,
    d_model: 4,
    blocks: [{ mixer: bidirectional ? both : mamba }],
    hidden_states: { embedding: false, blocks: 'residual', listed: 1, final: true },
  }
}

/** All rows, and pooled ones. */
const outputs: Output[] = [{}, { pool: 'mean', head: true }, { pool: 'last' }]

/** How many rows were read of each output, and what they are. */
class Digest {
  private readonly hashes = outputs.map(() => createHash('sha256'))
  private readonly rows = outputs.map(() => 0)

  add(reads: Read[]): void {
    for (const [i, { data, width }] of reads.entries()) {
      this.hashes[i].update(data)
      this.rows[i] += data.length / (width || 1)
    }
  }

  end = () => this.hashes.map((hash, i) => ({ rows: this.rows[i], digest: hash.digest('hex') }))
}

/** A whole sequence of a network. */
async function whole(net: ReturnType<typeof network>, chunk: number, length: number, spools?: string) {
  const digest = new Digest()
  const sequence = { input: ids.subarray(0, length), segments: wholeSegments(Int32Array.of(0, length)) }
  for await (const reads of new Session(net, { chunk, outputs }).parts(sequence, { folder: spools })) digest.add(reads)
  return digest.end()
}

test.each(lengths)('%i tokens read both ways: swept in memory, and in other chunks over a file', async (length) => {
  const net = network(backend, smallSpec(true))
  const expected = await whole(net, usual, length)
  expect(expected.map(({ rows }) => rows)).toEqual([length, 1, 1])
  expect(await whole(net, odd, length, folder)).toEqual(expected)
})

test.each(lengths)('%i tokens read forward: as a whole, and piece by piece', async (length) => {
  const net = network(backend, smallSpec(false))
  const expected = await whole(net, usual, length)
  expect(expected.map(({ rows }) => rows)).toEqual([length, 1, 1])
  const digest = new Digest()
  const session = new Session(net, { chunk: odd, outputs })
  for (let at = 0; at < length; at += odd) {
    const to = Math.min(at + odd, length)
    const segments = oneSegment(to - at, at, to === length, 0)
    digest.add((await session.push({ input: ids.subarray(at, to), segments })).reads)
  }
  session.close()
  expect(digest.end()).toEqual(expected)
})
