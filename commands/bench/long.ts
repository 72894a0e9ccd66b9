import { BenchCommand } from '../../src/bench/command.js'
import type { EqualityRow } from '../../src/bench/equality.js'
import { exitCodes, UserError } from '../../src/errors.js'
import { integer, rounds, shapeFlagsOf, shared, size, threadsOf } from '../../src/shell/flags.js'

const mebibyte = 2 ** 20

export default class BenchLong extends BenchCommand {
  static override description =
    'Measure embed on records of growing length: a model that reads forward, and one that reads both ways, also within --max-memory; and compare the latter with the device reference.'
  static override examples = ['<%= config.bin %> bench long']
  static override flags = {
    ...shapeFlagsOf(16, 256),
    tokens: integer({ min: 64, max: 1e9, default: mebibyte, description: 'bases of the longest record' }),
    'max-memory': size({
      default: 512 * mebibyte,
      description: 'memory that the model that reads both ways is allowed',
    }),
    reference: integer({
      min: 0,
      max: 1e9,
      default: 16_384,
      description: 'bases of a record whose rows are compared with those of reference; 0: of none',
    }),
    threads: shared.threads,
    rounds: rounds(1),
    json: shared.json,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(BenchLong)
    const { benchLong } = await import('../../src/bench/long.js')
    const { compareWithReference } = await import('../../src/bench/equality.js')
    const shape = { layers: flags.layers, d_model: flags['d-model'] }
    const options = { ...flags, shape, maxMemory: flags['max-memory'], threads: threadsOf(flags.threads) }
    let equality: EqualityRow[] = []
    await this.report(flags, async (onRound) => {
      const rows = await benchLong({ ...options, onRound })
      equality = await compareWithReference({ ...options, tokens: flags.reference, onRound })
      return { rows, equality }
    })
    const wrong = equality.find(({ equal }) => !equal)
    if (wrong) throw new UserError(`${wrong.model}: cpu is not equal to reference`, exitCodes.internal)
  }
}
