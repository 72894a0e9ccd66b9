import { BenchCommand } from '../../src/bench/command.js'
import { integer, rounds, shapeFlagsOf, shared, size, threadsOf } from '../../src/shell/flags.js'

const mebibyte = 2 ** 20

export default class BenchLong extends BenchCommand {
  static override description =
    'Measure embed on a long record against a short one: a model that reads forward, and one that reads both ways, also within --max-memory.'
  static override examples = ['<%= config.bin %> bench long']
  static override flags = {
    ...shapeFlagsOf(16, 256),
    tokens: integer({ min: 16, max: 1e9, default: mebibyte, description: 'bases of the long record' }),
    'max-memory': size({
      default: 512 * mebibyte,
      description: 'memory that the model that reads both ways is allowed',
    }),
    threads: shared.threads,
    rounds: rounds(1),
    json: shared.json,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(BenchLong)
    const { benchLong } = await import('../../src/bench/long.js')
    const shape = { layers: flags.layers, d_model: flags['d-model'] }
    const options = { ...flags, shape, maxMemory: flags['max-memory'], threads: threadsOf(flags.threads) }
    await this.report(flags, (onRound) => benchLong({ ...options, onRound }))
  }
}
