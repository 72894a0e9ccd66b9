import { print } from '../output/print.js'
import { LongwaveCommand } from '../shell/command.js'
import { Progress, progressStyle } from '../shell/progress.js'

interface BenchFlags {
  rounds: number
  json: boolean
  quiet: boolean
}

/** What the `bench` commands share: progress round by round, then the report. */
export abstract class BenchCommand extends LongwaveCommand {
  protected async report<Row extends object>(
    { rounds, json, quiet }: BenchFlags,
    measure: (onRound: (done: number) => void) => Promise<Row[]>,
  ): Promise<void> {
    const { benchReport } = await import('./report.js')
    const name = (this.id ?? '').replaceAll(':', ' ')
    const progress = await Progress.start(progressStyle({ quiet }, false))
    this.progress = progress
    const rows = await measure((done) => progress.tick(() => `${name}: round ${done} of ${rounds} done`))
    progress.stop()
    await print(await benchReport(name, rounds, rows, json))
  }
}
