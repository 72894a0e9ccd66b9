import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import { forecastFormats } from '../src/output/forecasts.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { format, integer, number, shared } from '../src/shell/flags.js'

export default class Forecast extends LongwaveCommand {
  static override description =
    'Foretell series of numbers: a CSV file of one or many columns, a column of times among them if there is one, cells may be empty. For each step ahead, each series has its mean and the quantiles of the model (FlowState). Times are continued in the step of the table.'
  static override examples = [
    '<%= config.bin %> forecast -m flowstate/ --horizon 24 visitors.csv',
    '<%= config.bin %> forecast -m flowstate/ --column visitors --season 7 -o next.json visitors.csv',
  ]
  static override args = {
    input: Args.string({ description: "CSV file; '-' or nothing: standard input", ignoreStdin: true }),
  }
  static override flags = {
    model: shared.model,
    output: shared.output,
    force: shared.force,
    format: format(forecastFormats),
    horizon: integer({ min: 1, max: 1_000_000, description: 'steps ahead [default: what the model says at once]' }),
    season: number({
      min: 1,
      max: 1_000_000,
      default: 24,
      description: 'steps in which the series repeats: 7 for days in weeks, 96 for quarters of an hour in days',
    }),
    time: Flags.string({ helpValue: 'NAME', description: 'column of times [default: the first, if it holds dates]' }),
    column: Flags.string({
      helpValue: 'NAME',
      multiple: true,
      description: 'column to forecast; may be given again [default: all]',
    }),
    device: shared.device,
    precision: shared.precision,
    threads: shared.threads,
    'max-memory': shared['max-memory'],
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Forecast)
    const { openForecast } = await import('../src/tasks/open.js')
    const { openOutput } = await import('../src/output/output.js')
    const { forecastRows } = await import('../src/output/forecasts.js')
    const { forecasts } = await import('../src/tasks/forecast/run.js')

    const files = {
      inputs: args.input === undefined ? [] : [args.input],
      folders: false,
      outputs: [{ role: '-o', path: flags.output }],
    }
    const opened = await openForecast({ ...flags, 'on-error': 'fail' }, files, (line) => this.note(line))
    const { model, table, options } = opened
    const output = await openOutput(flags.output, flags)
    const rows = await forecastRows(flags.format, output, model.spec.head.quantiles)
    try {
      for await (const forecast of forecasts(model, table, options)) await rows.write(forecast)
      await rows.end()
      await output.close()
    } catch (error) {
      await output.abort()
      throw error
    }
  }
}
