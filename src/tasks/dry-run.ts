import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { readsWhole } from '../engine/memory.js'
import type { Plan } from '../engine/plan.js'
import { columns } from '../output/columns.js'
import type { ModelSpec } from '../spec.js'
import { sizeText } from '../text/size.js'
import { type ComputeOptions, chunkText, count, deviceText } from './compute.js'
import { isLongSweep } from './resume/long-sweep.js'
import { freeBytes, longestArray, mostWhole, tooLong, wholeNeeds } from './whole-room.js'

/** What is known of the sequences of a run before it is computed. */
export interface Sequences {
  unit: 'bases' | 'tokens' | 'frames'
  /** Tokens of the longest; null: it comes through a pipe, which is not read. Absent: none is held whole. */
  longest?: number | null
  /** How many there are to compute, at the most. */
  number: number
  /** How many outputs are read of each; default 1. */
  outputs?: number
}

/** How a run would be computed, for people to read, line by line. Errors: UserError with exit code 65 for a sequence that is too long. */
export async function dryRunText(
  spec: ModelSpec,
  plan: Plan,
  { device, gpu, tmpDir = tmpdir(), halfSpool: half, resume }: ComputeOptions,
  { unit, longest, number, outputs }: Sequences,
): Promise<string> {
  const { memory, workers, wholeBytes } = plan
  const lines = [
    ['device', deviceText(device, gpu, plan)],
    ['workers', count(workers)],
    ['chunk', chunkText(spec, plan)],
  ]
  const most = `up to ${count(mostWhole(spec, plan))} ${unit} fit`
  let expected = memory.run
  if (longest === undefined || (longest !== null && longest <= plan.chunk)) {
    lines.push([
      'sequences',
      longest === undefined ? 'read in pieces' : `up to ${count(longest)} ${unit}, in one chunk`,
    ])
  } else if (longest === null) {
    lines.push(['sequences', `assumed to fit a chunk: a pipe is not read; ${most}`])
    if (readsWhole(spec)) lines.push(['spool', `of longer ones in memory, then in ${tmpDir}`])
  } else {
    const kept = resume && isLongSweep(spec, plan, longest)
    const { held, spool } = wholeNeeds(spec, plan, longest, { kept, half, outputs })
    lines.push(['sequences', `up to ${count(longest)} ${unit}, held whole; ${most}`])
    const { inMemory, inFiles } = places(Math.min(workers, number), held, kept ? null : spool, wholeBytes)
    expected += (inMemory + inFiles) * held + inMemory * spool
    if (inMemory + inFiles === 0 || longest > longestArray(spec))
      throw tooLong(spec, 'the longest record', longest, unit, memory.leastFor(held))
    if (spool > 0)
      lines.push(['spool', await spoolText(spool, inMemory, inFiles, kept ? dirname(resume.path) : tmpDir)])
  }
  lines.push(['memory', `up to ${sizeText(expected)} of ${sizeText(memory.allowed)}`])
  return columns(lines)
}

/** Where the spools of so many sequences at a time lie; the others wait. null: none in memory. */
function places(sequences: number, held: number, spool: number | null, room: number) {
  const inMemory = spool === null ? 0 : Math.min(sequences, Math.floor(room / (held + spool)))
  const inFiles = Math.min(sequences - inMemory, Math.floor((room - inMemory * (held + (spool ?? 0))) / held))
  return { inMemory, inFiles }
}

async function spoolText(bytes: number, inMemory: number, inFiles: number, folder: string): Promise<string> {
  const of = (number: number, where: string) => (number > 0 ? [`${number} x ${sizeText(bytes)} ${where}`] : [])
  const free = inFiles > 0 ? await freeBytes(folder) : 0
  const room = Number.isFinite(free) ? ` (${sizeText(free)} free)` : ''
  return [...of(inMemory, 'in memory'), ...of(inFiles, `in ${folder}${room}`)].join(', ')
}
