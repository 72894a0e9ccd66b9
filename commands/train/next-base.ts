import * as Flags from '@oclif/core/flags'
import { integer } from '../../src/shell/flags.js'
import { TrainCommand, trainFlags } from '../../src/training/command.js'

export default class TrainNextBase extends TrainCommand {
  static override description =
    'Train a model that reads DNA forward to predict the next base (a causal language model), from genomes without labels, or go on with one (--from). The same command, given again, resumes an interrupted run. All settings: docs/training.md.'
  static override examples = [
    '<%= config.bin %> train next-base --data train.fa.gz --valid valid.fa.gz --config small.json --out my-bases',
    'zcat *.fa.gz | <%= config.bin %> train next-base --data - --config small.json --out my-bases',
  ]
  static override flags = {
    data: Flags.string({ required: true, helpValue: 'FILE', description: 'DNA to learn from: FASTA or FASTQ' }),
    valid: Flags.string({ helpValue: 'FILE', description: 'DNA to choose the best model by' }),
    window: integer({ min: 2, description: 'bases read at a time: records are cut into windows of so many' }),
    ...trainFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(TrainNextBase)
    const { data, valid = null, window } = flags
    const inputs = [{ role: '--data', path: data }, ...(valid === null ? [] : [{ role: '--valid', path: valid }])]
    await this.checkFiles(flags, inputs)
    const { prepareNextBase } = await import('../../src/training/next-base/prepare.js')
    const given = await this.given(flags, { window })
    const from = await this.pretrained(flags)
    const note = (line: string) => this.note(line)
    await this.train(flags, await prepareNextBase({ train: data, valid }, given, from, flags.freeze, note))
  }
}
