import { BenchCommand } from '../../src/bench/command.js'
import { integer, rounds, shared } from '../../src/shell/flags.js'

export default class BenchScan extends BenchCommand {
  static override description =
    'Measure the selective scan of a device, next to a plain copy and a matrix product on it.'
  static override flags = {
    device: shared.device,
    rows: integer({ min: 64, max: 1_048_576, default: 4096, description: 'rows of a call' }),
    rounds: rounds(3),
    json: shared.json,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(BenchScan)
    const { benchScan } = await import('../../src/bench/scan.js')
    await this.report(flags, (onRound) => benchScan({ ...flags, onRound }))
  }
}
