import type { Piece } from '../../engine/pack.js'
import type { RecordBatch, SequenceRecord } from '../../input/dna/records.js'
import type { TextStream } from '../../input/lines/read.js'
import type { Weights } from '../../layers/params.js'
import type { ModelSpec } from '../../spec.js'
import { Encoding, mostHeld, type TextTokenizer } from '../../tokens/text.js'
import { type SequenceOptions, SequenceRun } from '../sequence-run.js'
import type { SequenceNote } from '../targets.js'
import type { Part, SpanPiece } from '../windows.js'

/** Texts through a model. */
export class TextRun extends SequenceRun<Int32Array> {
  constructor(
    model: { spec: ModelSpec; weights: Weights },
    tokenizer: TextTokenizer,
    texts: TextStream,
    options: SequenceOptions,
  ) {
    const { counts, share } = texts
    const lengths = new WeakMap<SequenceRecord, number>()
    const source = {
      unit: 'tokens',
      batches: tokensOf(texts, tokenizer),
      counts,
      share,
      vocabulary: { appended: 0, counts: () => true },
      sequencesOfSpan: 1,
      cutsSpans: true,
      sequences: sequencesOf,
      watch: (parts: AsyncIterable<Part<Int32Array>>) => measured(parts, lengths),
      sizeOf: (record: SequenceRecord) => ({ length: lengths.get(record)! }),
    } as const
    super(model, source, options)
  }
}

/** Ids of texts, as they are read. */
export async function* tokensOf(texts: TextStream, tokenizer: TextTokenizer): AsyncGenerator<RecordBatch<Int32Array>> {
  let encoding = new Encoding(tokenizer)
  let offset = 0
  let refused = false
  for await (const { record, text, first, last, aborted } of texts) {
    if (first) {
      encoding = new Encoding(tokenizer)
      offset = 0
      refused = false
    }
    if (refused) continue
    const ids = aborted ? [] : [...encoding.push(text), ...(last ? encoding.end() : [])]
    if (encoding.tooLong) {
      refused = true
      yield { codes: none, pieces: [{ record, offset, start: 0, end: 0, first, last: true, aborted: true }] }
      texts.refuse(record, `more than ${mostHeld} characters without a blank at which the tokenizer lets them be cut`)
      continue
    }
    const codes = Int32Array.from(ids)
    yield { codes, pieces: [{ record, offset, start: 0, end: codes.length, first, last, aborted }] }
    offset += codes.length
  }
}

const none = new Int32Array(0)

async function* measured(
  parts: AsyncIterable<Part<Int32Array>>,
  lengths: WeakMap<SequenceRecord, number>,
): AsyncGenerator<Part<Int32Array>> {
  for await (const part of parts) {
    lengths.set(part.record, part.offset + part.rows.length)
    yield part
  }
}

async function* sequencesOf(spans: AsyncIterable<SpanPiece<Int32Array>>): AsyncGenerator<Piece<SequenceNote>> {
  for await (const { span, rows, start, ends } of spans) {
    const slot = start === 0 && ends ? -1 : 0
    yield { input: rows, note: { span, strand: '+', lastOfSpan: true, start, ends }, start, ends, slot }
  }
}
