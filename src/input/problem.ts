import { exitCodes } from '../errors.js'

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
