import type { Output } from './output.js'
import type { RowWriter } from './rows.js'
import type { Cue } from './subtitles.js'

/** A label track of Audacity: start, end (seconds) and text of each label, without a header. */
export async function audacityRows(output: Output): Promise<RowWriter<Cue>> {
  return {
    write: ({ start, end, text }) =>
      output.write(`${start.toFixed(6)}\t${end.toFixed(6)}\t${text.replace(/[\t\n\r]+/g, ' ')}\n`),
    end: async () => {},
  }
}
