import type { PlainOutput } from './plain-file.js'

/** A file that holds one float32 matrix behind a header. */
export interface MatrixFormat {
  /** Of one size, whatever the numbers are. */
  header(rows: number, columns: number): Uint8Array
}

/** numpy's .npy, version 1.0: `numpy.load(path, mmap_mode='r')` reads it. */
export const npy: MatrixFormat = {
  header(rows, columns) {
    const header = Buffer.alloc(128, ' ')
    header.write('\x93NUMPY\x01\x00', 'latin1')
    header.writeUInt16LE(header.length - 10, 8)
    header.write(`{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`, 10, 'latin1')
    header.write('\n', header.length - 1, 'latin1')
    return header
  },
}

/** safetensors with one tensor, `embeddings`. Spaces behind the JSON are part of the format. */
export const safetensors: MatrixFormat = {
  header(rows, columns) {
    const header = Buffer.alloc(128, ' ')
    header.writeBigUInt64LE(BigInt(header.length - 8))
    const tensor = { dtype: 'F32', shape: [rows, columns], data_offsets: [0, 4 * rows * columns] }
    header.write(JSON.stringify({ embeddings: tensor }), 8, 'latin1')
    return header
  },
}

export interface MatrixWriter {
  /** [k * columns]: one row or several. */
  write(values: Float32Array): Promise<void>
  /** Writes the number of rows into the header; the output stays open for its owner to close. */
  end(): Promise<void>
}

/** Rows of float32, whose number is known at the end. */
export async function matrixRows(output: PlainOutput, format: MatrixFormat, columns: number): Promise<MatrixWriter> {
  let written = 0
  await output.write(format.header(0, columns))
  return {
    write(values) {
      if (values.length % columns !== 0) throw new Error(`${values.length} values are no rows of ${columns}`)
      written += values.length / columns
      return output.write(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    },
    end: () => output.patch(format.header(written, columns), 0),
  }
}
