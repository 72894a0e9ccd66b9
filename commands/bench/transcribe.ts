import { BenchCommand } from '../../src/bench/command.js'
import { integer, modelToMeasure, rounds, shapeFlags, shared, threadsOf } from '../../src/shell/flags.js'

export default class BenchTranscribe extends BenchCommand {
  static override description =
    'Measure transcribe as a shell runs it, on a minute and on an hour of synthetic audio from a pipe: times real time with one thread and with several, and peak memory.'
  static override examples = ['<%= config.bin %> bench transcribe', '<%= config.bin %> bench transcribe -m english']
  static override flags = {
    model: modelToMeasure,
    ...shapeFlags,
    minutes: integer({ min: 1, max: 100_000, default: 60, description: 'length of the long recording' }),
    beam: integer({ min: 0, max: 1000, description: 'as for transcribe, with the same default' }),
    threads: shared.threads,
    rounds: rounds(1),
    json: shared.json,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(BenchTranscribe)
    const { benchTranscribe } = await import('../../src/bench/transcribe.js')
    const shape = { layers: flags.layers, d_model: flags['d-model'] }
    const threads = threadsOf(flags.threads)
    await this.report(flags, (onRound) => benchTranscribe({ ...flags, shape, threads, onRound }))
  }
}
