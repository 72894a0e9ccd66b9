import { exitCodes, UserError } from '../errors.js'
import type { Output } from './output.js'

/** Rows of float32 in numpy's .npy format, version 1.0: `numpy.load(path, mmap_mode='r')` reads it. */
export interface NpyWriter {
  /** [k * columns]: one row or several. */
  write(values: Float32Array): Promise<void>
  /** Writes the number of rows into the header; the output stays open for its owner to close. */
  end(): Promise<void>
}

const headerSize = 128

/**
 * `rows`: their number where it is known beforehand. Where it is not, the header is completed at the end, which only a
 * plain file allows: usage error (2) for standard output, pipes and .gz.
 */
export async function npyRows(output: Output, columns: number, rows?: number): Promise<NpyWriter> {
  const { patch } = output
  if (rows === undefined && patch === null) {
    const name = output.name === '-' ? 'standard output' : output.name
    await output.abort()
    throw new UserError(
      `${name}: .npy needs a plain file (-o FILE.npy); --format jsonl can be piped or compressed`,
      exitCodes.usage,
    )
  }
  let written = 0
  await output.write(npyHeader(rows ?? 0, columns))
  return {
    write(values) {
      if (values.length % columns !== 0) throw new Error(`${values.length} values are no rows of ${columns}`)
      written += values.length / columns
      return output.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    },
    async end() {
      if (rows === undefined) await patch?.(npyHeader(written, columns), 0)
      else if (written !== rows) throw new Error(`${output.name}: ${written} rows written, ${rows} announced`)
    },
  }
}

/** Where the ids of the rows go. */
export const idsPath = (npyPath: string) => `${npyPath}.ids.tsv`

function npyHeader(rows: number, columns: number): Uint8Array {
  const shape = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`
  const header = Buffer.alloc(headerSize, ' ')
  header.write('\x93NUMPY\x01\x00', 'latin1')
  header.writeUInt16LE(headerSize - 10, 8)
  header.write(shape, 10, 'latin1')
  header.write('\n', headerSize - 1, 'latin1')
  return header
}
