import { type Labelled, type LabelledSource, readLabelled } from '../data/labelled.js'
import type { LabelTable } from '../data/labels.js'
import { type Records, shareRecords } from './records.js'

export interface Dataset extends Records, Labelled {}

/** All records of a labelled set of DNA in shared memory. Parameters, errors: see `readLabelled`. */
export async function loadDataset(
  source: AsyncIterable<LabelledSource>,
  table: LabelTable,
  classes: string[] | null,
  length: number | 'first' | null,
  note: (line: string) => void,
): Promise<Dataset> {
  const { parts, targets, ...labelled } = await readLabelled(source, table, classes, length, note)
  return { ...labelled, ...shareRecords(parts, targets) }
}
