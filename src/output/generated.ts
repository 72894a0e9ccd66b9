import { jsonlRows } from './jsonl.js'
import type { Output } from './output.js'
import type { RowWriter } from './rows.js'

/** A piece of what a model wrote behind a prompt; the last one says how it ended. */
export interface Piece {
  record: { id: string }
  text: string
  ended?: { finish: string; tokens: number; promptTokens: number }
}

export type GeneratedFormat = 'text' | 'jsonl' | 'fasta'

/** Of FASTA. */
const lineLength = 60

/** The pieces of one prompt come one after the other; text and FASTA go out as they come. */
export async function generatedRows(format: GeneratedFormat, output: Output): Promise<RowWriter<Piece>> {
  if (format === 'jsonl') return jsonlOf(output)
  return format === 'fasta' ? fastaOf(output) : textOf(output)
}

/** What is written for one prompt, then a line end. */
const textOf = (output: Output): RowWriter<Piece> => ({
  async write({ text, ended }) {
    await output.write(ended ? `${text}\n` : text)
    await output.flush()
  },
  end: async () => {},
})

async function jsonlOf(output: Output): Promise<RowWriter<Piece>> {
  const rows = await jsonlRows(output, ['id', 'prompt_tokens', 'tokens', 'finish', 'text'])
  let whole = ''
  return {
    async write({ record, text, ended }) {
      whole += text
      if (!ended) return
      await rows.write([record.id, ended.promptTokens, ended.tokens, ended.finish, whole])
      whole = ''
    },
    end: () => rows.end(),
  }
}

function fastaOf(output: Output): RowWriter<Piece> {
  let began = false
  let column = 0
  return {
    async write({ record, text, ended }) {
      let lines = began ? '' : `>${record.id}\n`
      began = !ended
      for (let at = 0; at < text.length; ) {
        const some = text.slice(at, at + lineLength - column)
        at += some.length
        column = (column + some.length) % lineLength
        lines += column === 0 ? `${some}\n` : some
      }
      if (ended) {
        if (column > 0) lines += '\n'
        column = 0
      }
      await output.write(lines)
    },
    end: async () => {},
  }
}
