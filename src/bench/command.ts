import type { Device } from '../backends/registry.js'
import { print } from '../output/print.js'
import { LongwaveCommand } from '../shell/command.js'
import { Progress, progressStyle } from '../shell/progress.js'
import type { OnRound, Rows } from './report.js'

interface BenchFlags {
  /** What is measured; absent: the machine's processor. */
  device?: Device
  rounds: number
  json: boolean
  quiet: boolean
}

/** What the `bench` commands share: progress round by round, then the report. */
export abstract class BenchCommand extends LongwaveCommand {
  protected async report(
    { device, rounds, json, quiet }: BenchFlags,
    measure: (onRound: OnRound) => Promise<Rows | Record<string, Rows>>,
  ): Promise<void> {
    const { benchReport } = await import('./report.js')
    const bench = (this.id ?? '').replaceAll(':', ' ')
    const progress = await Progress.start(progressStyle({ quiet }, false))
    this.progress = progress
    const measured = await measure((done, part) =>
      progress.tick(() => `${bench}: ${part ? `${part}, ` : ''}round ${done} of ${rounds} done`),
    )
    progress.stop()
    const tables = Array.isArray(measured) ? { rows: measured } : measured
    await print(await benchReport({ bench, rounds, tables, device }, json))
  }
}
