import type { Output } from '../engine/outputs.js'
import type { Piece } from '../engine/pack.js'
import { isCausal } from '../layers/mixers/registry.js'
import type { ModelSpec } from '../spec.js'
import type { Answer, Prediction } from './predict.js'
import type { Span } from './windows.js'

/** A sequence, or a piece of one, on its way through a model. */
export interface SequenceNote {
  span: Span
  strand: '+' | '-'
  /** No other sequence of the span comes behind it. */
  lastOfSpan: boolean
  /** Rows of the sequence before it, and whether it ends with it. */
  start: number
  ends: boolean
  /** Of DNA: N in the span so far. */
  n?: number
}

/** The same with what is asked about it. */
export interface AskingNote extends SequenceNote {
  targets: Int32Array
  ahead: 0 | 1
  /** Some of its tokens are: what is read of it is no embedding. */
  masked: boolean
}

export interface Vocabulary {
  /** Special ids at the end of a sequence, which are not read. */
  appended: number
  /** Whether it is asked for the probability of this id. */
  counts(id: number): boolean
  /** Stands for a token that is to be guessed. */
  mask?: number
}

/** A model that reads forward predicts the next token; one that reads both ways those that are masked. */
export const readsForward = (spec: ModelSpec): boolean => isCausal(spec) && !spec.reverse_complement

/**
 * Of the tokens of a sequence that reads both ways every so many are masked at a time, in as many passes: 14 % of them, about the
 * share that was masked when such models were trained (docs/decisions.md).
 */
const stripes = 7

/**
 * Sequences with what is asked about them: once where the model reads forward, else once for each stripe, and for an embedding once more
 * as they are.
 */
export function asking(
  pieces: AsyncIterable<Piece<SequenceNote>>,
  spec: ModelSpec,
  vocabulary: Vocabulary,
  { embedding = false }: Output,
): AsyncGenerator<Piece<AskingNote>> {
  return readsForward(spec) ? askingNext(pieces, vocabulary) : askingMasked(pieces, vocabulary, embedding)
}

/** The last token of a piece is followed by the first of the next one: a piece waits for that. */
async function* askingNext(
  pieces: AsyncIterable<Piece<SequenceNote>>,
  vocabulary: Vocabulary,
): AsyncGenerator<Piece<AskingNote>> {
  const asked = (piece: Piece<SequenceNote>, next?: Piece<SequenceNote>): Piece<AskingNote> => {
    const { input, ends, note } = piece
    const targets = new Int32Array(input.length - (ends ? vocabulary.appended : 0)).fill(-1)
    for (let t = 0; t < targets.length; t++) {
      const id = t + 1 < input.length ? input[t + 1] : ends ? -1 : next!.input[0]
      if (vocabulary.counts(id)) targets[t] = id
    }
    return { ...piece, targets, note: { ...note, targets, ahead: 1, masked: false } }
  }
  let held: Piece<SequenceNote> | null = null
  for await (const piece of pieces) {
    if (held) yield asked(held, piece)
    held = piece.ends ? null : piece
    if (piece.ends) yield asked(piece)
  }
}

async function* askingMasked(
  pieces: AsyncIterable<Piece<SequenceNote>>,
  { appended, counts, mask }: Vocabulary,
  embedding: boolean,
): AsyncGenerator<Piece<AskingNote>> {
  for await (const piece of pieces) {
    const { note } = piece
    const none = new Int32Array(piece.input.length - appended).fill(-1)
    const all = Array.from({ length: stripes }, (_, stripe) => {
      const input = piece.input.slice() as Int32Array
      const targets = none.slice()
      for (let t = stripe; t < targets.length; t += stripes) {
        if (!counts(input[t])) continue
        targets[t] = input[t]
        input[t] = mask!
      }
      return { input, targets, masked: targets.some((id) => id >= 0) }
    })
    const passes = all.filter(({ masked }) => masked)
    // A span of which nothing is asked is one row still.
    if (embedding || passes.length === 0)
      passes.push({ input: piece.input as Int32Array, targets: none, masked: false })
    for (const [i, { input, targets, masked }] of passes.entries()) {
      const last = i === passes.length - 1
      const lastOfSpan = note.lastOfSpan && last
      const urgent = piece.urgent && last
      yield { ...piece, input, targets, urgent, note: { ...note, lastOfSpan, targets, ahead: 0, masked } }
    }
  }
}

/** The answers as they come, each with what was asked. */
export async function* answered(answers: AsyncIterable<Answer<AskingNote>>): AsyncGenerator<Prediction> {
  let at = 0
  for await (const { note, data, width, last } of answers) {
    const { span, strand, ahead, start, n } = note
    const ids = note.targets.subarray(at, at + data.length)
    const targets = { ids, row: start + at, ahead, strand }
    at = last ? 0 : at + ids.length
    const strands = [data.subarray(0, ids.length)]
    const embedding = note.masked || data.length === ids.length ? undefined : data.subarray(ids.length)
    yield { span, last: last && note.ends && note.lastOfSpan, strands, width, n, targets, embedding }
  }
}
