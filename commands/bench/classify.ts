import { BenchCommand } from '../../src/bench/command.js'
import { inferenceBenchFlags, threadsOf } from '../../src/shell/flags.js'

export default class BenchClassify extends BenchCommand {
  static override description =
    'Measure classify as a shell runs it, on synthetic reads and on one long record in windows: tokens per second with one thread and with several, and peak memory.'
  static override examples = ['<%= config.bin %> bench classify', '<%= config.bin %> bench classify -m origin']
  static override flags = inferenceBenchFlags

  async run(): Promise<void> {
    const { flags } = await this.parse(BenchClassify)
    const { benchInference } = await import('../../src/bench/inference.js')
    const shape = { layers: flags.layers, d_model: flags['d-model'] }
    const threads = threadsOf(flags.threads)
    await this.report(flags, (onRound) => benchInference({ command: 'classify', ...flags, shape, threads, onRound }))
  }
}
