import type { Piece } from '../../engine/pack.js'
import type { RecordStream } from '../../input/dna/read.js'
import type { Weights } from '../../layers/params.js'
import type { ModelSpec } from '../../spec.js'
import { reverseComplement } from '../../tokens/dna.js'
import { type DnaTokenizer, dnaTokenizer } from '../../tokens/tokenizer.js'
import { type SequenceOptions, SequenceRun } from '../sequence-run.js'
import type { SequenceNote } from '../targets.js'
import type { SpanPiece } from '../windows.js'
import { Composition, countN } from './composition.js'

export type Strand = '+' | '-' | 'both'

export interface DnaOptions extends SequenceOptions {
  /** Default: both for a symmetric model, + for a stranded one. */
  strand?: Strand
}

/** Records of DNA through a model. */
export class DnaRun extends SequenceRun<Uint8Array> {
  constructor(model: { spec: ModelSpec; weights: Weights }, records: RecordStream, options: DnaOptions) {
    const strand = options.strand ?? defaultStrand(model.spec)
    const tokenizer = dnaTokenizer(model.spec.input)
    const composition = new Composition()
    const { counts, share } = records
    const source = {
      unit: 'bases',
      batches: records,
      counts,
      share,
      vocabulary: tokenizer,
      sequencesOfSpan: strand === 'both' ? 2 : 1,
      cutsSpans: strand === '+',
      sequences: (spans: AsyncIterable<SpanPiece<Uint8Array>>) => strandsOf(spans, tokenizer, strand),
      watch: composition.of.bind(composition),
      sizeOf: composition.size.bind(composition),
    } as const
    super(model, source, options)
  }
}

/** Caduceus-PS reads both strands by itself. */
export const defaultStrand = (spec: ModelSpec): Strand =>
  spec.strand === 'symmetric' && !spec.reverse_complement ? 'both' : '+'

/** Token ids of each strand, one sequence after the other. */
async function* strandsOf(
  pieces: AsyncIterable<SpanPiece<Uint8Array>>,
  tokenizer: DnaTokenizer,
  strand: Strand,
): AsyncGenerator<Piece<SequenceNote>> {
  let n = 0
  for await (const { span, rows: codes, start, ends } of pieces) {
    n = (start === 0 ? 0 : n) + countN(codes)
    const slot = start === 0 && ends ? -1 : 0
    const note = { span, start, ends, n }
    const { urgent } = span.record
    if (strand !== '-') {
      const input = tokenizer.ids(codes, ends)
      const lastOfSpan = strand === '+'
      yield { input, note: { ...note, strand: '+', lastOfSpan }, start, ends, slot, urgent: urgent && lastOfSpan }
    }
    if (strand !== '+') {
      if (slot >= 0) throw new Error('the other strand needs the whole span')
      const input = tokenizer.ids(reverseComplement(codes), true)
      yield { input, note: { ...note, strand: '-', lastOfSpan: true }, start, ends, slot, urgent }
    }
  }
}
