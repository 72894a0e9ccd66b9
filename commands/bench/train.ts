import * as Flags from '@oclif/core/flags'
import { BenchCommand } from '../../src/bench/command.js'
import { integer, rounds, shapeFlags, shared, threadsOf } from '../../src/shell/flags.js'

export default class BenchTrain extends BenchCommand {
  static override description =
    'Measure training steps (forward, backward, update) on synthetic records, with one thread and with several.'
  static override flags = {
    ...shapeFlags,
    bidirectional: Flags.boolean({ default: false, description: 'blocks that read both ways' }),
    length: integer({ min: 1, max: 100_000, default: 250, description: 'bases per record' }),
    threads: shared.threads,
    rounds: rounds(5),
    json: shared.json,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(BenchTrain)
    const { benchTraining } = await import('../../src/bench/train.js')
    const shape = { layers: flags.layers, d_model: flags['d-model'], bidirectional: flags.bidirectional }
    const threads = threadsOf(flags.threads)
    await this.report(flags, (onRound) => benchTraining({ ...flags, shape, threads, onRound }))
  }
}
