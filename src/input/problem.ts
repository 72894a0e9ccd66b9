import { exitCodes, UserError } from '../errors.js'
import { printable } from '../text/printable.js'

/** What was wrong, for the person who gave the input. */
export interface InputProblem {
  /** `warning`: nothing was lost. `record` or `file`: it (or what was left of it) was skipped. */
  kind: 'warning' | 'record' | 'file'
  file: string
  /** The whole line: file, record, line, what was expected. */
  message: string
}

/** Why a file, or the rest of it, cannot be read; its name and the place are put in front by `fileProblem`. */
export class FileProblem extends Error {
  constructor(
    message: string,
    readonly exitCode: number = exitCodes.data,
  ) {
    super(message)
  }
}

/** What was passed over so far. */
export interface SkipCounts {
  /** Bad places: records, and runs of lines that belong to none. */
  skippedRecords: number
  /** Files that could not be read, or not to their end. */
  skippedFiles: number
}

/** What is done about the problems of inputs: the first one ends the reading, or they are told and counted. */
export class Problems {
  /** `report` takes every problem; without `skip` a bad record throws instead. */
  constructor(
    private readonly skip: boolean,
    private readonly report: (problem: InputProblem) => void,
    private readonly counts: SkipCounts,
  ) {}

  /** Errors: UserError with exit code 65. */
  record(file: string, text: string): void {
    const message = printable(`${file}: ${text}`)
    if (!this.skip) throw new UserError(message, exitCodes.data)
    this.counts.skippedRecords++
    this.report({ kind: 'record', file, message })
  }

  /** A file that cannot be read, or not to its end. Errors: UserError with the exit code of the problem. */
  file(file: string, text: string, exitCode: number): void {
    const message = printable(`${file}: ${text}`)
    if (!this.skip) throw new UserError(message, exitCode)
    this.counts.skippedFiles++
    this.report({ kind: 'file', file, message })
  }

  warn(file: string, text: string): void {
    this.report({ kind: 'warning', file, message: printable(`${file}: ${text}`) })
  }
}
