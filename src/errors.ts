/** Exit codes of the command line, after sysexits.h (DESIGN: fixed names). */
export const exitCodes = {
  internal: 1,
  usage: 2,
  data: 65,
  noInput: 66,
  unavailable: 69,
  cannotCreate: 73,
  io: 74,
  hungUp: 129,
  interrupted: 130,
  terminated: 143,
} as const

/** An error the user can act on: one line, no stack trace, and the exit code that goes with it. */
export class UserError extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message)
    this.name = 'UserError'
  }
}
