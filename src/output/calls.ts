import { audacityRows } from './audacity.js'
import { bedRows, type Feature } from './bed.js'
import { openRows, type TableFormat } from './formats.js'
import type { Output } from './output.js'
import type { RowWriter, Value } from './rows.js'

export type CallFormat = TableFormat | 'bed' | 'audacity'

/** The label of what scores below --min-score. */
export const unclassified = 'unclassified'

/** A label for a record or a part of it. */
export interface Call {
  record: Feature['record']
  /** In bases of the record or seconds of the recording: 0-based, half-open. */
  start: number
  end: number
  /** Its number; null: the score is too low for one. */
  label: number | null
  score: number
  /** [labels] */
  probabilities: Float64Array
  /** How many windows it was made from. */
  windows: number
  /** [labels] The share of the windows of a record in which the label is the best. */
  shares?: Float64Array
  /** The share of N among the bases of a record. */
  nFraction?: number
}

/** What a row stands for: a record, a window, joined windows, or a record made of its windows. */
export type CallKind = 'record' | 'window' | 'event' | 'pooled record'

export interface CallOptions {
  kind: CallKind
  /** Records are DNA. */
  dna: boolean
  labels: readonly string[]
  /** Adds the probability (and where there are windows of a record, the share) of every label. */
  probabilities: boolean
}

/** One row for each call. */
export async function callRows(format: CallFormat, output: Output, options: CallOptions): Promise<RowWriter<Call>> {
  const nameOf = (call: Call) => (call.label === null ? unclassified : options.labels[call.label])
  if (format === 'bed') return mapped(await bedRows(output), (call) => ({ ...call, name: nameOf(call) }))
  if (format === 'audacity') return mapped(await audacityRows(output), (call) => ({ ...call, text: nameOf(call) }))
  const columns = columnsOf(options, nameOf, format !== 'tsv')
  const table = await openRows(
    format,
    output,
    columns.map(({ name }) => name),
  )
  return mapped(table, (call) => columns.map(({ cell }) => cell(call)))
}

/** A column of a table, and its cell in a row. */
export interface Column<Row> {
  name: string
  cell: (row: Row) => Value
}

/** How a table holds a number of each label: a column for each, or in the JSON formats one for all. */
export const perLabel = <Row>(
  labels: readonly string[],
  nested: boolean,
  [prefix, name]: [prefix: string, name: string],
  values: (row: Row) => Float64Array,
): Column<Row>[] =>
  nested
    ? [{ name, cell: (row) => new Map(labels.map((label, i) => [label, values(row)[i]])) }]
    : labels.map((label, i) => ({ name: `${prefix}:${label}`, cell: (row) => values(row)[i] }))

function columnsOf({ kind, dna, labels, probabilities }: CallOptions, nameOf: (call: Call) => string, nested: boolean) {
  const whole = kind === 'record' || kind === 'pooled record'
  const pooled = kind === 'pooled record'
  const columns: Column<Call>[] = [{ name: 'id', cell: ({ record }) => record.id }]
  if (whole) columns.push({ name: 'length', cell: ({ start, end }) => end - start })
  else columns.push({ name: 'start', cell: ({ start }) => start }, { name: 'end', cell: ({ end }) => end })
  columns.push({ name: 'label', cell: nameOf }, { name: 'score', cell: ({ score }) => score })
  if (pooled || kind === 'event') columns.push({ name: 'windows', cell: ({ windows }) => windows })
  if (pooled && dna) columns.push({ name: 'n_fraction', cell: ({ nFraction }) => nFraction! })
  if (probabilities)
    columns.push(...perLabel<Call>(labels, nested, ['p', 'probabilities'], (call) => call.probabilities))
  if (probabilities && pooled)
    columns.push(...perLabel<Call>(labels, nested, ['share', 'shares'], (call) => call.shares!))
  return columns
}

const mapped = <From, To>(rows: RowWriter<To>, change: (row: From) => To): RowWriter<From> => ({
  write: (row) => rows.write(change(row)),
  end: () => rows.end(),
})
