import * as Flags from '@oclif/core/flags'
import { labelledInputs, TrainCommand, trainFlags } from '../../src/training/command.js'

export default class TrainTranscribe extends TrainCommand {
  static override description =
    'Train a speech recogniser (CTC) from recordings and their texts, or fine-tune one (--from). The same command, given again, resumes an interrupted run. All settings: docs/training.md.'
  static override examples = [
    '<%= config.bin %> train transcribe --data recordings/ --texts train.tsv --valid recordings/ --valid-texts valid.tsv --config speech.json --out my-model',
    '<%= config.bin %> train transcribe --data readings/ --texts readings.tsv --from english --out tuned',
  ]
  static override flags = {
    data: Flags.string({ required: true, helpValue: 'DIR', description: 'folder of the recordings to learn from' }),
    texts: Flags.string({
      required: true,
      helpValue: 'FILE',
      description: 'what is said in them: path<TAB>text lines, paths below the folder',
    }),
    valid: Flags.string({ helpValue: 'DIR', description: 'folder of the recordings to choose the best model by' }),
    'valid-texts': Flags.string({ helpValue: 'FILE', description: 'what is said in those [default: --texts]' }),
    ...trainFlags,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(TrainTranscribe)
    const valid = flags.valid === undefined ? null : { data: flags.valid, labels: flags['valid-texts'] ?? flags.texts }
    const files = { train: { data: flags.data, labels: flags.texts }, valid }
    await this.checkFiles(flags, labelledInputs(files, 'texts'))
    await this.trainOnAudio(flags, files, 'transcribe')
  }
}
