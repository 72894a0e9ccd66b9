import { BenchCommand } from '../../src/bench/command.js'
import { integer, rounds, shared } from '../../src/shell/flags.js'

export default class BenchFasta extends BenchCommand {
  static override description =
    'Measure how fast FASTA is read, next to bionode-fasta (a development dependency: a checkout has it).'
  static override flags = {
    megabytes: integer({ min: 1, max: 1000, default: 50, description: 'size of each synthetic file' }),
    rounds: rounds(3),
    json: shared.json,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(BenchFasta)
    const { benchFasta } = await import('../../src/bench/fasta.js')
    await this.report(flags, (onRound) => benchFasta({ ...flags, onRound }))
  }
}
