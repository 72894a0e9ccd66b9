import { exitCodes, UserError } from '../errors.js'
import { type BedRecord, chromOf } from './bed.js'
import { jsonlRows } from './jsonl.js'
import type { Output } from './output.js'
import { type RowWriter, significant } from './rows.js'

/** How likely a model takes one token to be. */
export interface TokenScore {
  record: BedRecord
  /** In the record: 0-based. */
  position: number
  /** Of DNA. */
  strand: '+' | '-'
  id: number
  /** As it is written: a base as it stands on the strand, or a token of the vocabulary. */
  token: string
  /** Nats. */
  logP: number
}

const bedGraphSuffix = /\.(bedgraph|bg)(?=(\.gz)?$)/i

export type TokenFormat = 'bedgraph' | 'jsonl'

/** By the suffix. Errors: 2 for another one. */
export function tokenFormat(path: string): TokenFormat {
  if (bedGraphSuffix.test(path)) return 'bedgraph'
  if (/\.jsonl(\.gz)?$/i.test(path)) return 'jsonl'
  throw new UserError(`--per-token ${path}: expected a name that ends in .bedgraph or .jsonl`, exitCodes.usage)
}

/** The files of `--per-token`: of both strands bedGraph has one for each. */
export function tokenPaths(path: string, strand: '+' | '-' | 'both'): string[] {
  if (strand !== 'both' || tokenFormat(path) !== 'bedgraph') return [path]
  return ['plus', 'minus'].map((name) => path.replace(bedGraphSuffix, (suffix) => `.${name}${suffix}`))
}

/** bedGraph, without a track line: the base and the logarithm of its probability; one output for each strand, or one for all. */
export function bedGraphRows(outputs: readonly Output[]): RowWriter<TokenScore> {
  return {
    write: ({ record, position, strand, logP }) =>
      outputs[strand === '+' ? 0 : outputs.length - 1].write(
        `${chromOf(record)}\t${position}\t${position + 1}\t${significant(logP)}\n`,
      ),
    end: async () => {},
  }
}

/** One object for each base or token. */
export async function tokenLines(output: Output, unit: 'base' | 'token'): Promise<RowWriter<TokenScore>> {
  if (unit === 'base') {
    const rows = await jsonlRows(output, ['id', 'start', 'end', 'strand', 'base', 'log_probability'])
    return {
      write: ({ record, position, strand, token, logP }) =>
        rows.write([record.id, position, position + 1, strand, token, logP]),
      end: () => rows.end(),
    }
  }
  const rows = await jsonlRows(output, ['id', 'index', 'token_id', 'token', 'log_probability'])
  return {
    write: ({ record, position, id, token, logP }) => rows.write([record.id, position, id, token, logP]),
    end: () => rows.end(),
  }
}
