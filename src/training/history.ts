import { readFile } from 'node:fs/promises'
import { exitCodes, UserError } from '../errors.js'
import type { Validation } from './metrics/validation.js'

/** A line of the run log on the step before it. */
export interface StepLine {
  step: number
  loss: number
  lr: number
  gradient_norm: number
  tokens_per_second: number
}

/** A line of the run log on an epoch, after its last step. */
export interface EpochLine {
  step: number
  epoch: number
  train_loss: number
  train_accuracy: number
  valid?: Validation
}

/** What the log of a run says, from its first step on, however often it was interrupted. */
export interface History {
  steps: StepLine[]
  epochs: EpochLine[]
}

/** Errors: 74 for a log that cannot be read. */
export async function readHistory(log: string): Promise<History> {
  const text = await readFile(log, 'utf8').catch((error: Error) => {
    throw new UserError(`cannot read ${log}: ${error.message}`, exitCodes.io)
  })
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as StepLine | EpochLine)
  return {
    steps: lines.filter((line): line is StepLine => !('epoch' in line)),
    epochs: lines.filter((line): line is EpochLine => 'epoch' in line),
  }
}
