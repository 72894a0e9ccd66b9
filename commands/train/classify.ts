import { statSync } from 'node:fs'
import * as Flags from '@oclif/core/flags'
import { labelledInputs, TrainCommand, trainFlags } from '../../src/training/command.js'

export default class TrainClassify extends TrainCommand {
  static override description =
    'Train a classifier of DNA or of audio from labelled records, or fine-tune any model that reads these, or text, into one (--from). The same command, given again, resumes an interrupted run. All settings: docs/training.md.'
  static override examples = [
    '<%= config.bin %> train classify --data train.fa.gz --labels train.tsv.gz --valid valid.fa.gz --valid-labels valid.tsv.gz --config small.json --out my-model',
    '<%= config.bin %> train classify --data new.fa --labels new.tsv --from origin --freeze body --out tuned',
    '<%= config.bin %> train classify --data reviews.txt --labels stars.tsv --from mamba-130m --lr 0.001,body=0.00001 --out stars',
    '<%= config.bin %> train classify --data recordings/ --labels train.tsv --valid recordings/ --valid-labels valid.tsv --out birds',
  ]
  static override flags = {
    data: Flags.string({
      required: true,
      helpValue: 'FILE|DIR',
      description: 'records to learn from: FASTA or FASTQ, a folder of recordings, or texts (lines or JSON lines)',
    }),
    labels: Flags.string({
      required: true,
      helpValue: 'FILE',
      description:
        'their labels: id<TAB>label lines, for recordings path<TAB>label, for lines of text number<TAB>label',
    }),
    valid: Flags.string({ helpValue: 'FILE|DIR', description: 'records to choose the best model by' }),
    'valid-labels': Flags.string({ helpValue: 'FILE', description: 'their labels [default: --labels]' }),
    pool: Flags.option({ options: ['mean', 'max', 'last', 'center', 'flatten'] as const })({
      description: 'pooling of the rows of a record',
    }),
    symmetric: Flags.boolean({
      description: 'the label does not depend on the strand: learn from both, answer from both',
    }),
    ...trainFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(TrainClassify)
    const more = { pool: flags.pool, strand: flags.symmetric ? 'symmetric' : undefined }
    const valid =
      flags.valid === undefined ? null : { data: flags.valid, labels: flags['valid-labels'] ?? flags.labels }
    const files = { train: { data: flags.data, labels: flags.labels }, valid }
    await this.checkFiles(flags, labelledInputs(files, 'labels'))
    if (statSync(flags.data, { throwIfNoEntry: false })?.isDirectory())
      return this.trainOnAudio(flags, files, 'classify', more)
    const { readsText } = await import('../../src/tokens/tokenizer.js')
    const given = await this.given(flags, more)
    const from = await this.pretrained(flags)
    const note = (line: string) => this.note(line)
    if (from && readsText(from.spec)) {
      const { prepareText } = await import('../../src/training/text/prepare.js')
      return this.train(flags, await prepareText(files, given, from, flags.freeze, note))
    }
    const { prepareDna } = await import('../../src/training/dna/prepare.js')
    await this.train(flags, await prepareDna(files, given, from, flags.freeze, note))
  }
}
