import { exitCodes, UserError } from '../errors.js'
import type { SequenceRecord } from '../input/dna/records.js'
import type { Call, CallKind } from '../output/calls.js'
import { softmax } from '../runtime/softmax.js'
import { bestOf, type Classification } from './classify.js'
import type { SpanRun } from './run.js'

/** Makes calls of what the model says of spans, which come in the order of the records and of their starts. */
export interface Caller {
  /** The calls that this span completes. */
  push(classification: Classification): Call[]
  /** Those that were still open. */
  end(): Call[]
}

/** How windows become rows. */
export interface Joining {
  window?: number
  /** Neighbouring windows of one label are one row. */
  merge?: boolean
  /** The windows of a record are one row. */
  perRecord?: boolean
}

/** What a row stands for. Errors: 2 for windows that are to be joined without a length, or in two ways. */
export function kindOf({ window, merge, perRecord }: Joining): CallKind {
  if (merge && perRecord) throw usage('--merge and --per-record both join windows: give one of them')
  if (window !== undefined) return perRecord ? 'pooled record' : merge ? 'event' : 'window'
  if (perRecord)
    throw usage('--per-record pools windows: give their length with --window (without it records are read whole)')
  if (merge) throw usage('--merge joins windows: give their length with --window')
  return 'record'
}

const usage = (text: string) => new UserError(text, exitCodes.usage)

export function callerOf(kind: CallKind, minScore: number, run: Pick<SpanRun, 'sizeOf'>): Caller {
  if (kind === 'pooled record') return new RecordCaller(minScore, run)
  return kind === 'event' ? new EventCaller(minScore) : new SpanCaller(minScore)
}

/** One call for each span. */
export class SpanCaller implements Caller {
  constructor(private readonly minScore: number) {}

  push({ span, probabilities, doubtful }: Classification): Call[] {
    return [{ ...span, ...labelled(probabilities, this.minScore, doubtful), windows: 1 }]
  }

  end = () => []
}

/** Joins windows of a record that follow each other without a gap and have one label; their scores by the mean. */
export class EventCaller implements Caller {
  private open: Call | null = null

  constructor(private readonly minScore: number) {}

  push({ span, probabilities, doubtful }: Classification): Call[] {
    const { open } = this
    const next = { ...span, ...labelled(probabilities, this.minScore, doubtful), windows: 1 }
    if (open && open.record === next.record && open.label === next.label && next.start <= open.end) {
      open.end = next.end
      open.windows++
      open.score += (next.score - open.score) / open.windows
      for (const [i, p] of probabilities.entries()) open.probabilities[i] += (p - open.probabilities[i]) / open.windows
      return []
    }
    const done = this.end()
    this.open = next
    return done
  }

  end(): Call[] {
    const done = this.open ? [this.open] : []
    this.open = null
    return done
  }
}

/**
 * One call for each record, from the mean log-probabilities of its windows. It sums logits: those are log-probabilities
 * but for a number of each window, the same for all labels, which the softmax takes away again. Doubtful windows do not count where
 * there are others, and make a doubtful record where there are none.
 */
export class RecordCaller implements Caller {
  private open: Pooled | null = null

  constructor(
    private readonly minScore: number,
    private readonly run: Pick<SpanRun, 'sizeOf'>,
  ) {}

  push({ span, logits, best, doubtful = false }: Classification): Call[] {
    const { record } = span
    const done = this.open?.record === record ? [] : this.end()
    this.open ??= {
      record,
      logits: new Float64Array(logits.length),
      votes: new Float64Array(logits.length),
      windows: 0,
      doubtful,
    }
    const { open } = this
    if (doubtful && !open.doubtful) return done
    if (open.doubtful && !doubtful) {
      open.logits.fill(0)
      open.votes.fill(0)
      open.windows = 0
      open.doubtful = false
    }
    for (const [i, logit] of logits.entries()) open.logits[i] += logit
    open.votes[best]++
    open.windows++
    return done
  }

  end(): Call[] {
    const { open } = this
    this.open = null
    const size = open && this.run.sizeOf(open.record)
    if (!open || !size) return []
    const { record, logits, votes, windows, doubtful } = open
    const shares = votes.map((count) => count / windows)
    const probabilities = softmax(logits.map((sum) => sum / windows))
    const { length, nFraction } = size
    const called = labelled(probabilities, this.minScore, doubtful)
    return [{ record, start: 0, end: length, ...called, windows, shares, nFraction }]
  }
}

/** What the windows of a record say together. */
interface Pooled {
  record: SequenceRecord
  /** [labels] Sums over the windows. */
  logits: Float64Array
  votes: Float64Array
  windows: number
  doubtful: boolean
}

/** The best label, if there is no doubt and its score is high enough for one. */
function labelled(probabilities: Float64Array, minScore: number, doubtful = false) {
  const label = bestOf(probabilities)
  const score = probabilities[label]
  return { label: doubtful || score < minScore ? null : label, score, probabilities }
}
