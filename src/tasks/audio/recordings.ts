import { UserError } from '../../errors.js'
import { type AudioOptions, readAudio } from '../../input/audio/read.js'
import { isPipe, stdinName } from '../../input/bytes.js'
import type { SequenceRecord } from '../../input/dna/records.js'
import type { LogMelSpec } from '../../spec.js'
import { LogMel } from '../../tokens/log-mel.js'
import type { Part } from '../windows.js'
import { Peaks } from './peaks.js'

/** An audio file as a record: its id is the path as it was given. */
export interface Recording extends SequenceRecord {
  /** Its place among the inputs, from 0: two of them may have one path. */
  index: number
  /** Seconds read so far, after the offset. */
  seconds: number
  /** How loud they are; null: nothing was read. */
  peaks: Peaks | null
  /** It comes through a pipe, as fast as it is spoken perhaps: what was read of it is computed at once. */
  live: boolean
  /** It could not be opened, or reading it broke off; this was reported, and the next one read. */
  broken: boolean
}

export const recordingsOf = (paths: readonly string[]): Recording[] =>
  paths.map((path, index) => ({
    index,
    id: path,
    file: path === '-' ? stdinName : path,
    line: 1,
    seconds: 0,
    peaks: null,
    live: isPipe(path),
    broken: false,
  }))

export interface ReadOptions extends Omit<AudioOptions, 'rate' | 'report'> {
  /** What cannot be read is reported and skipped, otherwise it is thrown. */
  skip: boolean
  /** A recording that breaks off ends there; otherwise it has no last part. */
  keepBroken: boolean
  note: (line: string) => void
}

/** Features of recordings, [frames, n_mels] each, while they are read. A recording without samples has none. */
export async function* featureParts(
  recordings: Iterable<Recording>,
  spec: LogMelSpec,
  { skip, keepBroken, note, ...options }: ReadOptions,
): AsyncGenerator<Part<Float32Array>> {
  for (const record of recordings) {
    const features = new LogMel(spec)
    const peaks = new Peaks(spec.sample_rate, options.offset ?? 0)
    record.peaks = peaks
    let offset = 0
    let samples = 0
    const part = (rows: Float32Array, last: boolean): Part<Float32Array> => {
      const made = { record, offset, rows, last }
      offset += rows.length / spec.n_mels
      return made
    }
    try {
      const report = ({ message }: { message: string }) => note(message)
      for await (const block of await readAudio(record.id, { ...options, rate: spec.sample_rate, report })) {
        samples += block.length
        peaks.add(block)
        record.seconds = samples / spec.sample_rate
        yield part(features.push(block), false)
      }
    } catch (error) {
      if (!skip || !(error instanceof UserError)) throw error
      record.broken = true
      note(error.message)
      if (!keepBroken) continue
    }
    if (samples > 0) yield part(features.end(), true)
  }
}

/** Seconds of a recording: as its header says, else read to the end. */
export async function secondsOf(
  path: string,
  rate: number,
  options: Omit<AudioOptions, 'rate' | 'report'>,
): Promise<number> {
  const { channel, offset, duration } = options
  const audio = await readAudio(path, { channel, offset, duration, rate })
  if (audio.length !== undefined) {
    await audio.close()
    return audio.length / rate
  }
  let samples = 0
  for await (const block of audio) samples += block.length
  return samples / rate
}
