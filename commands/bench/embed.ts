import { BenchCommand } from '../../src/bench/command.js'
import { inferenceBenchFlags, threadsOf } from '../../src/shell/flags.js'

export default class BenchEmbed extends BenchCommand {
  static override description =
    'Measure embed as a shell runs it, on synthetic reads and on one long record in windows: tokens per second with one thread and with several, and peak memory.'
  static override examples = ['<%= config.bin %> bench embed', '<%= config.bin %> bench embed -m origin']
  static override flags = inferenceBenchFlags

  async run(): Promise<void> {
    const { flags } = await this.parse(BenchEmbed)
    const { benchInference } = await import('../../src/bench/inference.js')
    const shape = { layers: flags.layers, d_model: flags['d-model'] }
    const threads = threadsOf(flags.threads)
    await this.report(flags, (onRound) => benchInference({ command: 'embed', ...flags, shape, threads, onRound }))
  }
}
