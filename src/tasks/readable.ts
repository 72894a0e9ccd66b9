import { isRecording } from '../input/audio/format.js'
import { holdsRecords } from '../input/dna/format.js'
import type { Readable } from '../input/folder.js'
import { holdsText } from '../input/lines/format.js'
import type { ModelSpec } from '../spec.js'
import { readsText } from '../tokens/tokenizer.js'

/** What a model reads of a folder. */
export function readableBy(spec: ModelSpec): Readable {
  if (spec.input.kind === 'log-mel') return { plural: 'recordings', is: isRecording }
  if (readsText(spec)) return { plural: 'files of text', is: holdsText }
  return { plural: 'FASTA, FASTQ or JSON lines', is: holdsRecords }
}
