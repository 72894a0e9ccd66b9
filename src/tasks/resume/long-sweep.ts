import { readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { checkedSweep } from '../../engine/kept-sweep.js'
import { readsWhole } from '../../engine/memory.js'
import type { Plan } from '../../engine/plan.js'
import type { ModelSpec } from '../../spec.js'

/** A sequence that is kept layer by layer, of so many chunks at least: of a shorter one little is lost. */
export const isLongSweep = (spec: ModelSpec, { chunk }: Pick<Plan, 'chunk'>, tokens: number): boolean =>
  readsWhole(spec) && tokens >= 16 * chunk

/** How the names of its files end. */
const ofSweep = /\.(whole|left|right)(\.(one|other))?\.(sweep|new|stream|borders|rows)$/

/** The files of a sequence that is swept, or of its halves. */
export interface LongSweep {
  /** Without what tells its parts apart, and without suffixes. */
  path: string
  halves: boolean
}

export const partsOf = ({ path, halves }: LongSweep): string[] =>
  halves ? [`${path}.left`, `${path}.right`] : [`${path}.whole`]

/**
 * The sweep that an earlier run has left at `path`, in two halves or whole as it was begun, where that can be done; else a new one. Both halves
 * go on, or none. `passes`: how many were done before.
 */
export async function openSweep(path: string, mayHalve: boolean): Promise<LongSweep & { passes: number }> {
  for (const halves of mayHalve ? [true, false] : [false]) {
    const passes = await Promise.all(partsOf({ path, halves }).map(passesOf))
    if (passes.every((done) => done > 0)) return { path, halves, passes: Math.min(...passes) }
  }
  await removeSweep(path)
  return { path, halves: mayHalve, passes: 0 }
}

export async function removeSweep(path: string): Promise<void> {
  const [folder, start] = [dirname(path), `${basename(path)}.`]
  for (const name of await readdir(folder).catch(() => []))
    if (name.startsWith(start) && ofSweep.test(name)) await rm(join(folder, name), { force: true })
}

/** Of one strand, or of both, the one first. 0: none, or something is damaged. */
async function passesOf(part: string): Promise<number> {
  let sum = 0
  for (const path of [part, `${part}.one`, `${part}.other`]) {
    const done = await checkedSweep(path)
    if (done === null) return 0
    sum += done
  }
  return sum
}
