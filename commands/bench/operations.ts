import { BenchCommand } from '../../src/bench/command.js'
import { integer, rounds, shared } from '../../src/shell/flags.js'

export default class BenchOperations extends BenchCommand {
  static override description =
    'Measure the operations of the cpu backend one by one, on one core, next to the kernels that run where relaxed SIMD and ONNX Runtime are missing.'
  static override flags = {
    rows: integer({ min: 1, max: 65_536, default: 2048, description: 'rows of a call' }),
    rounds: rounds(5),
    json: shared.json,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(BenchOperations)
    const { benchOperations } = await import('../../src/bench/operations.js')
    await this.report(flags, (onRound) => benchOperations({ ...flags, onRound }))
  }
}
