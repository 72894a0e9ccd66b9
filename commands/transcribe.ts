import { LongwaveCommand } from '../src/shell/command.js'
import { audioFlags, format, inputs, integer, modelOr, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'
import type { Transcribed } from '../src/tasks/audio/transcribe.js'

export default class Transcribe extends LongwaveCommand {
  static override description =
    'Transcribe speech: WAV, and through ffmpeg whatever it reads. Text is written while the audio comes in, a minute or two behind it; hours need no more memory than minutes. The default model, english, is a demonstration: models/english/README.md says what it is good for.'
  static override examples = [
    '<%= config.bin %> transcribe sentence.mp3',
    '<%= config.bin %> transcribe -m digits -f srt -o numbers.srt numbers.wav',
    '<%= config.bin %> transcribe -m digits -f tsv numbers/*.wav',
    'ffmpeg -v error -i numbers.mp4 -f wav - | <%= config.bin %> transcribe -m digits -',
  ]
  static override args = { inputs }
  static override flags = {
    model: modelOr('english'),
    output: shared.output,
    force: shared.force,
    format: format(['txt', 'srt', 'vtt', 'json', 'tsv']),
    ...audioFlags,
    beam: integer({
      min: 0,
      max: 1000,
      description:
        'how many texts a beam search keeps; 0 or 1: greedy, the fastest [default: 16 for a model with a language model, else 0]',
    }),
    device: shared.device,
    threads: shared.threads,
    chunk: shared.chunk,
    'on-error': shared['on-error'],
    'infile-list': shared['infile-list'],
    progress: shared.progress,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Transcribe)
    const { drain, openTranscription } = await import('../src/tasks/open.js')
    const { openOutput } = await import('../src/output/output.js')
    const { Cues } = await import('../src/output/subtitles.js')
    const { transcripts } = await import('../src/output/transcripts.js')

    const outputs = [{ role: '-o', path: flags.output }]
    const opened = await openTranscription(flags, { inputs: args.inputs, outputs }, (line) => this.note(line))
    const output = await openOutput(flags.output, flags)
    const writer = await transcripts(flags.format, output, opened.paths.length)
    this.progress = await Progress.start(progressStyle(flags, flags.output === '-'))
    const cues = new Cues()
    const take = async ({ recording, words, last }: Transcribed) => {
      for (const line of [...cues.push(words), ...(last ? cues.end() : [])]) await writer.write(recording.id, line)
      if (last) await writer.close(recording.id)
      await output.flush()
    }
    const finish = async () => {
      await writer.end()
      await output.close()
    }
    await drain(opened, this.progress, take, finish, () => output.abort())
  }
}
