import { tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { readsWhole } from '../engine/memory.js'
import type { Plan } from '../engine/plan.js'
import { columns } from '../output/columns.js'
import type { ModelSpec } from '../spec.js'
import { sizeText } from '../text/size.js'
import { type ComputeOptions, chunkText, count, deviceText } from './compute.js'
import { isLongSweep } from './resume/long-sweep.js'
import { freeBytes, longestArray, mostWhole, tooLong, type WholeNeeds, wholeNeeds } from './whole-room.js'

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
  const { memory, workers, wholeBytes, deviceSpoolBytes } = plan
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
    const onGpu = deviceSpoolBytes > 0 && !half ? `on the GPU up to ${sizeText(deviceSpoolBytes)}, then ` : ''
    if (readsWhole(spec)) lines.push(['spool', `of longer ones ${onGpu}in memory, then in ${tmpDir}`])
  } else {
    const kept = resume && isLongSweep(spec, plan, longest)
    const needs = wholeNeeds(spec, plan, longest, { kept, half, outputs })
    const { held, spool } = needs
    lines.push(['sequences', `up to ${count(longest)} ${unit}, held whole; ${most}`])
    const spools = places(Math.min(workers, number), needs, wholeBytes, kept)
    const { onDevice, inMemory, inFiles } = spools
    expected += (onDevice + inMemory + inFiles) * held + inMemory * spool
    if (onDevice + inMemory + inFiles === 0 || longest > longestArray(spec))
      throw tooLong(spec, 'the longest record', longest, unit, memory.leastFor(held))
    if (spool > 0) lines.push(['spool', await spoolText(spool, spools, kept ? dirname(resume.path) : tmpDir)])
  }
  lines.push(['memory', `up to ${sizeText(expected)} of ${sizeText(memory.allowed)}`])
  return columns(lines)
}

interface Places {
  onDevice: number
  inMemory: number
  inFiles: number
}

/** Where the spools of so many sequences at a time lie; the others wait. `kept`: in files only. */
function places(sequences: number, { held, spool, onDevice }: WholeNeeds, room: number, kept = false): Places {
  if (onDevice) return { onDevice: Math.min(sequences, Math.floor(room / held)), inMemory: 0, inFiles: 0 }
  const inMemory = kept ? 0 : Math.min(sequences, Math.floor(room / (held + spool)))
  const inFiles = Math.min(sequences - inMemory, Math.floor((room - inMemory * (held + spool)) / held))
  return { onDevice: 0, inMemory, inFiles }
}

async function spoolText(bytes: number, { onDevice, inMemory, inFiles }: Places, folder: string): Promise<string> {
  const of = (number: number, where: string) => (number > 0 ? [`${number} x ${sizeText(bytes)} ${where}`] : [])
  const free = inFiles > 0 ? await freeBytes(folder) : 0
  const room = Number.isFinite(free) ? ` (${sizeText(free)} free)` : ''
  return [...of(onDevice, 'on the GPU'), ...of(inMemory, 'in memory'), ...of(inFiles, `in ${folder}${room}`)].join(', ')
}
