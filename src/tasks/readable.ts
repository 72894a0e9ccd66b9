import { isRecording } from '../input/audio/format.js'
import { holdsRecords } from '../input/dna/format.js'
import type { Readable } from '../input/folder.js'
import type { InputSpec } from '../spec.js'

/** What a model with this input reads of a folder. */
export const readableBy = (input: InputSpec['kind']): Readable =>
  input === 'log-mel'
    ? { plural: 'recordings', is: isRecording }
    : { plural: 'FASTA, FASTQ or JSON lines', is: holdsRecords }
