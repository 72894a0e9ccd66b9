import * as Flags from '@oclif/core/flags'
import { exitCodes, UserError } from '../src/errors.js'
import type { InputFile } from '../src/input/folder.js'
import { holdsSeveral, transcriptFormats } from '../src/output/transcripts.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { audioFlags, format, inputs, integer, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'
import type { Transcribed } from '../src/tasks/audio/transcribe.js'

export default class Transcribe extends LongwaveCommand {
  static override description =
    'Transcribe speech: WAV, FLAC, MP3, Opus, Vorbis, and through ffmpeg whatever it reads; a folder means the recordings in it. Text is written while the audio comes in: at most 35 s of audio behind it, 5 s with a model that reads forward only; hours need no more memory than minutes. Bundled are digits, for spoken digits, and english, which is a demonstration: models/english/README.md says what of.'
  static override examples = [
    '<%= config.bin %> transcribe -m english sentence.mp3',
    '<%= config.bin %> transcribe -m digits -o numbers.srt numbers.wav',
    '<%= config.bin %> transcribe -m digits -f tsv numbers/',
    '<%= config.bin %> transcribe -m digits -f vtt --output-dir subtitles numbers/',
    'ffmpeg -v error -i numbers.mp4 -f wav - | <%= config.bin %> transcribe -m digits -',
  ]
  static override args = { inputs }
  static override flags = {
    model: shared.model,
    output: shared.output,
    'output-dir': Flags.string({
      helpValue: 'DIR',
      description: 'write a file for each input into this folder, under its name with the suffix of the format',
    }),
    force: shared.force,
    resume: shared.resume,
    format: format(transcriptFormats),
    ...audioFlags,
    beam: integer({
      min: 0,
      max: 1000,
      description:
        'how many texts a beam search keeps; 0 or 1: greedy, the fastest [default: 16 for a model with a language model, else 0]',
    }),
    device: shared.device,
    precision: shared.precision,
    threads: shared.threads,
    chunk: shared.chunk,
    'max-memory': shared['max-memory'],
    'tmp-dir': shared['tmp-dir'],
    'dry-run': shared['dry-run'],
    'on-error': shared['on-error'],
    'infile-list': shared['infile-list'],
    progress: shared.progress,
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Transcribe)
    const { openTranscription } = await import('../src/tasks/open.js')
    const { drain } = await import('../src/tasks/drain.js')
    const { inFileForEach, inOneFile, placesIn } = await import('../src/output/transcript-files.js')
    const { print } = await import('../src/output/print.js')
    const { format, 'output-dir': folder } = flags
    if (folder !== undefined && flags.output !== '-')
      throw new UserError('-o and --output-dir exclude each other', exitCodes.usage)
    const places = (files: readonly InputFile[]) => (folder === undefined ? [] : placesIn(folder, format, files))
    const outputs = (files: readonly InputFile[]) =>
      folder === undefined
        ? [{ role: '-o', path: flags.output }]
        : places(files).map(({ to }) => ({ role: '--output-dir', path: to }))
    const given = {
      command: { name: 'transcribe', version: this.config.version },
      inputs: args.inputs,
      folders: true,
      outputs,
    }
    const { files, run, resume } = await openTranscription(flags, given, (line) => this.note(line))
    if (folder === undefined && files.length > 1 && !holdsSeveral(format)) {
      const text = `${format} holds one recording: name one input, or --output-dir for a file each, or use -f tsv or json`
      throw new UserError(text, exitCodes.usage)
    }
    if (flags['dry-run']) return print(await run.dryRun())
    const how = { format, force: flags.force, resumed: resume?.resumed }
    const paths = files.map(({ path }) => path)
    const alone = flags['infile-list'] === undefined && paths.length === 1 && paths[0] === (args.inputs?.[0] ?? '-')
    const transcripts =
      folder === undefined
        ? await inOneFile(flags.output, paths, { ...how, alone })
        : await inFileForEach(folder, places(files), how)
    this.progress = await Progress.start(progressStyle(flags, folder === undefined && flags.output === '-'))
    const take = async ({ recording: { index, broken }, words, until, last }: Transcribed) => {
      await transcripts.write(index, words, until)
      if (last) await transcripts.close(index, !broken)
    }
    await drain({ run, resume }, this.progress, take, transcripts.finish, transcripts.abort)
  }
}
