import { constants } from 'node:buffer'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { heldBytes, type SpoolOptions, spoolBytes, staysOnDevice } from '../engine/memory.js'
import type { Plan } from '../engine/plan.js'
import { exitCodes, UserError } from '../errors.js'
import type { ModelSpec } from '../spec.js'
import { sizeFlag, sizeText } from '../text/size.js'
import { Budget } from './budget.js'

/** Room for a sequence that is held whole. */
export interface Room {
  /** The folder of its spool; absent: it needs none, or it lies on the device or in memory. */
  folder?: string
  give(): void
}

/** What a sequence that is held whole takes: bytes of memory, and bytes of its spool, on the device or not. */
export interface WholeNeeds {
  held: number
  spool: number
  onDevice: boolean
}

/** `kept`: the spool outlives the run, and no layer overwrites what it reads. */
export function wholeNeeds(
  spec: ModelSpec,
  plan: Pick<Plan, 'chunk' | 'deviceSpoolBytes'>,
  tokens: number,
  { kept = false, ...options }: SpoolOptions & { kept?: boolean } = {},
): WholeNeeds {
  return {
    held: tokens > plan.chunk ? heldBytes(spec, tokens) : 0,
    spool: (kept ? 2 : 1) * spoolBytes(spec, plan.chunk, tokens, options),
    onDevice: !kept && staysOnDevice(spec, plan, tokens, options),
  }
}

/** Tokens of a sequence in the longest array that Node makes. */
export const longestArray = ({ input, d_embed }: Pick<ModelSpec, 'input' | 'd_embed'>): number =>
  Math.floor(constants.MAX_LENGTH / (input.kind === 'tokens' ? 1 : d_embed))

/** The error (65) about a sequence that cannot be held whole in less than `least` bytes, or at all. */
export function tooLong(spec: ModelSpec, name: string, tokens: number, unit: string, least: number): UserError {
  const most = longestArray(spec)
  const why =
    tokens > most
      ? `are more than the ${most} that Node ${process.versions.node} holds`
      : `need --max-memory ${sizeFlag(least)}`
  return new UserError(`${name}: ${tokens} ${unit} at once ${why}; --window reads them in pieces`, exitCodes.data)
}

/** Tokens of the longest sequence that can be held whole. */
export const mostWhole = (spec: ModelSpec, { chunk, wholeBytes }: Plan): number =>
  Math.max(chunk, Math.min(longestArray(spec), Math.floor(wholeBytes / heldBytes(spec, 1))))

/**
 * Says which sequences may be held whole at a time, and where their spools lie: on the device what that takes; else in memory while
 * there is room in it, else in temporary files while there is room on the disk. Who finds no room waits for those before.
 */
export class WholeRoom {
  private readonly memory: Budget
  /** Bytes of the files that are being written. */
  private claimed = 0
  private waiting: (() => void)[] = []

  constructor(
    private readonly spec: ModelSpec,
    private readonly plan: Plan,
    private readonly folder = tmpdir(),
    private readonly spools: SpoolOptions = {},
  ) {
    this.memory = new Budget(plan.wholeBytes)
  }

  /** `kept`: the folder in which the spool outlives the run. Errors: UserError with exit code 74 for a disk that is too full. */
  async take(tokens: number, kept?: string): Promise<Room> {
    const options = { kept: kept !== undefined, ...this.spools }
    const { held, spool, onDevice } = wholeNeeds(this.spec, this.plan, tokens, options)
    const { memory } = this
    if (kept === undefined && !onDevice && memory.takeNow(held + spool))
      return { give: () => memory.give(held + spool) }
    await memory.take(held)
    if (onDevice) return { give: () => memory.give(held) }
    if (spool > 0) await this.claim(spool, kept)
    const give = () => {
      memory.give(held)
      this.claimed -= spool
      for (const wake of this.waiting.splice(0)) wake()
    }
    return { folder: spool > 0 ? this.folder : undefined, give }
  }

  private async claim(bytes: number, kept?: string): Promise<void> {
    const folder = kept ?? this.folder
    while (true) {
      const free = await freeBytes(folder)
      if (free >= this.claimed + bytes) break
      if (this.claimed === 0) {
        const [what, cure] = kept
          ? ['--resume needs a file', '-o names a file in another folder, --window needs none']
          : [
              'a temporary file',
              '--tmp-dir names another folder, a larger --max-memory needs no file, --window needs neither',
            ]
        const text = `${what} of ${sizeText(bytes)}${kept ? '' : ' is needed'} and ${sizeText(free)} are free`
        throw new UserError(`${folder}: ${text}; ${cure}`, exitCodes.io)
      }
      await new Promise<void>((wake) => this.waiting.push(wake))
    }
    this.claimed += bytes
  }
}

/** Infinity where the system does not say; who opens a file there finds out. */
export async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
