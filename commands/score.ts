import { tableFormats } from '../src/output/formats.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { dnaFlags, format, inputs, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'
import type { Prediction } from '../src/tasks/predict.js'

export default class Score extends LongwaveCommand {
  static override description =
    'Say how likely a model of DNA takes records, or windows of them, to be: log-likelihood, bits per base, perplexity. The model reads forward and predicts the next base (train next-base); a long record is read in pieces, with its state carried along.'
  static override examples = [
    '<%= config.bin %> score -m bases reads.fq.gz',
    '<%= config.bin %> score -m bases --window 10000 --strand + genome.fa -o windows.tsv.gz',
  ]
  static override args = { inputs }
  static override flags = {
    model: shared.model,
    output: shared.output,
    force: shared.force,
    format: format(tableFormats),
    ...dnaFlags,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Score)
    const { Scores, wantNextBase } = await import('../src/tasks/score.js')
    const { drain, openRun } = await import('../src/tasks/open.js')
    const { openOutput } = await import('../src/output/output.js')
    const { print } = await import('../src/output/print.js')
    const { scoreRows } = await import('../src/output/scores.js')

    const files = { inputs: args.inputs, folders: true, outputs: [{ role: '-o', path: flags.output }] }
    const opened = await openRun({ ...flags, letters: true }, files, wantNextBase, (line) => this.note(line))
    if (flags['dry-run']) return print(await opened.run.dryRun())
    const output = await openOutput(flags.output, flags)
    const rows = await scoreRows(flags.format, output, flags.window !== undefined)
    this.progress = await Progress.start(progressStyle(flags, flags.output === '-'))
    const scores = new Scores()
    const take = async (prediction: Prediction) => {
      const scored = scores.push(prediction)
      if (scored) await rows.write(scored)
    }
    const finish = async () => {
      await rows.end()
      await output.close()
    }
    await drain(opened, this.progress, take, finish, () => output.abort())
  }
}
