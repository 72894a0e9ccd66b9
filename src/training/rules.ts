import { exitCodes, UserError } from '../errors.js'
import { didYouMean } from '../text/nearest.js'

/** A setting's default and what it may be. */
export interface Rule<T> {
  value: T
  expected: string
  ok(value: unknown): boolean
}

export type Rules<T> = { [K in keyof T]: Rule<T[K]> }

export const whole = (value: number, least: number): Rule<number> => ({
  value,
  expected: `a whole number, ${least} or more`,
  ok: (x) => Number.isSafeInteger(x) && (x as number) >= least,
})

export const real = (value: number, least: number, below: number): Rule<number> => ({
  value,
  expected: `a number from ${least} to below ${below}`,
  ok: (x) => typeof x === 'number' && x >= least && x < below,
})

export const flag = (value: boolean): Rule<boolean> => ({
  value,
  expected: 'true or false',
  ok: (x) => typeof x === 'boolean',
})

export const oneOf = <T extends string>(value: T, ...others: T[]): Rule<T> => ({
  value,
  expected: `one of ${[value, ...others].join(', ')}`,
  ok: (x) => [value, ...others].some((name) => name === x),
})

/** All settings from those given (a JSON object); an unknown key or a wrong value is an error (2) that names it. */
export function complete<T>(rules: Rules<T>, given: Record<string, unknown>): T {
  const table = rules as Record<string, Rule<unknown>>
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(table, key)) {
      const hint = didYouMean(key, Object.keys(table)) || ';'
      throw usage(`unknown training setting '${key}'${hint} there are ${Object.keys(table).join(', ')}`)
    }
    if (!table[key].ok(value))
      throw usage(`training setting ${key} is ${JSON.stringify(value)}, expected ${table[key].expected}`)
  }
  const defaults = Object.fromEntries(Object.entries(table).map(([key, rule]) => [key, rule.value]))
  return { ...defaults, ...given } as T
}

export const usage = (message: string) => new UserError(message, exitCodes.usage)
