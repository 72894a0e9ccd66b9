import { createHash, type Hash } from 'node:crypto'
import type { Piece } from '../../engine/pack.js'
import type { Snapshot } from '../../engine/session.js'
import { exitCodes, UserError } from '../../errors.js'
import type { SequenceRecord } from '../../input/dna/records.js'
import { keyOf, type Said } from './answers.js'
import type { ResumeFolder } from './folder.js'
import type { LongSequence } from './long-sequence.js'
import type { LongSweep } from './long-sweep.js'

/** What is known of a piece from an earlier run, and how what is said of it now is kept for a later one. */
export interface Memory {
  /** What was said of it; absent: it is to be computed. */
  known?: Iterable<Said> | AsyncIterable<Said>
  /** The state of its sequence before it, where the workers do not have it. */
  load?: Snapshot
  /** The state behind it is to be kept. */
  save?: boolean
  /** Where its layers are kept, and those of an earlier run are. */
  sweep?: LongSweep
  /** Before the numbers are given away. `last`: there are no more on this piece. Errors: UserError with exit code 74. */
  keep(said: Said, last: boolean, snapshot?: Snapshot): Promise<void>
}

/** How a piece is computed. */
interface Manner {
  rows: number
  inParts: boolean
  swept?: { inHalves: boolean }
}

/** Pieces of a sequence between two states that are kept. */
const piecesBetween = 8

const nothing = async () => {}

/** Asks the folder of a run about its sequences, one after the other. */
export class Recall<Note> {
  private cut: CutSequence | null = null

  /** `nameOf`: tells sequences in several pieces apart. */
  constructor(
    readonly folder: ResumeFolder,
    private readonly nameOf: (note: Note) => string,
  ) {}

  /**
   * `rows`: of the piece; `inParts`: it is answered in several; `swept`: layer by layer, and it is long. Errors: UserError with exit code 73
   * for a sequence that has changed, 74.
   */
  async of(piece: Piece<Note>, { rows, inParts, swept }: Manner): Promise<Memory> {
    const { folder } = this
    await folder.begin()
    const memory = await (piece.slot >= 0
      ? this.ofCut(piece, rows)
      : inParts
        ? this.ofParts(piece)
        : this.ofWhole(piece))
    folder.asked++
    if (memory.known) folder.known++
    else if (swept) return this.withSweep(memory, piece, swept.inHalves)
    return memory
  }

  private async withSweep(memory: Memory, piece: Piece<Note>, inHalves: boolean): Promise<Memory> {
    const { folder } = this
    const sweep = await folder.sweep(keyOf(...contentOf(piece)).toString('hex'), inHalves)
    if (!sweep) return memory
    const keep: Memory['keep'] = async (said, last, snapshot) => {
      await memory.keep(said, last, snapshot)
      if (last) await folder.swept(sweep)
    }
    return { ...memory, sweep, keep }
  }

  private async ofWhole(piece: Piece<Note>): Promise<Memory> {
    const { answers } = this.folder
    const key = keyOf(...contentOf(piece))
    const said = await answers.find(key)
    if (said) return { known: [said], keep: nothing }
    return { keep: (now) => answers.add(key, now) }
  }

  private async ofParts(piece: Piece<Note>): Promise<Memory> {
    const { folder } = this
    const key = keyOf(...contentOf(piece)).toString('hex')
    const sequence = await folder.sequence(key)
    if (sequence.standing?.ended) return { known: allOf(sequence, () => folder.over(sequence)), keep: nothing }
    return {
      keep: (said, last) =>
        folder.explain(async () => {
          await sequence.add(said)
          if (!last) return
          await sequence.save({ position: 0, input: key, ended: true })
          await folder.over(sequence)
        }),
    }
  }

  private async ofCut(piece: Piece<Note>, rows: number): Promise<Memory> {
    const { folder } = this
    if (piece.start === 0) {
      const name = this.nameOf(piece.note)
      this.cut = new CutSequence(folder, await folder.sequence(name))
    }
    return this.cut!.memoryOf(piece, rows)
  }
}

/** Tells the records of a run apart. */
export const keyOfRecord = ({ record }: { record: SequenceRecord }) => `${record.file}\0${record.line}\0${record.id}`

/** What the answer on a piece depends on, besides what came before it. */
const contentOf = ({ input, targets }: Piece<unknown>) => (targets ? [input, targets] : [input])

async function* allOf(sequence: LongSequence, done: () => Promise<void>): AsyncGenerator<Said> {
  for (let said = await sequence.next(); said; said = await sequence.next()) yield said
  await done()
}

/** A sequence whose pieces come one after the other. */
class CutSequence {
  private readonly input: Hash = createHash('sha256')
  /** Pieces that are computed. */
  private computed = 0

  constructor(
    private readonly folder: ResumeFolder,
    private readonly sequence: LongSequence,
  ) {}

  async memoryOf(piece: Piece<unknown>, rows: number): Promise<Memory> {
    const { folder, sequence } = this
    const { standing } = sequence
    const { start, ends } = piece
    const position = start + rows
    for (const numbers of contentOf(piece)) this.input.update(numbers)
    if (standing && start < standing.position) {
      const reached = position === standing.position
      const as = reached && standing.input === this.digest() && standing.ended === ends
      if (position > standing.position || (reached ? !as : ends)) throw this.changed()
      const said = await folder.explain(() => sequence.next())
      if (!said) throw this.changed()
      if (ends) await folder.over(sequence)
      return { known: [said], keep: nothing }
    }
    const save = !ends && ++this.computed % piecesBetween === 0
    const digest = save || ends ? this.digest() : ''
    return {
      load: standing && start === standing.position ? standing.snapshot : undefined,
      save,
      keep: (said, _, snapshot) =>
        folder.explain(async () => {
          await sequence.add(said)
          if (save || ends) await sequence.save({ position, input: digest, ended: ends, snapshot })
          if (ends) await folder.over(sequence)
        }),
    }
  }

  private digest(): string {
    return this.input.copy().digest('hex')
  }

  private changed(): UserError {
    return new UserError(
      `${this.folder.path}: a record has changed since; remove it to begin anew, or leave --resume out`,
      exitCodes.cannotCreate,
    )
  }
}
