import * as Flags from '@oclif/core/flags'
import { exitCodes, UserError } from '../src/errors.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { format, integer, number, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'

export default class Generate extends LongwaveCommand {
  static override description =
    'Write on behind prompts with a model that predicts the next token: text, or DNA. Prompts are a text, the lines or JSON lines of a file or of standard input, or records of DNA; many are decoded at a time. What comes behind one depends on it and the seed alone. Writes what is new, without the prompt, as it comes.'
  static override examples = [
    '<%= config.bin %> generate -m bases --prompt ACGTACGT --max-tokens 60 --temperature 1',
    '<%= config.bin %> generate -m bases --prompt-file reads.fa --temperature 1 --seed 7 -o new.fasta',
    "echo 'Once upon a time' | <%= config.bin %> generate -m ./mamba-130m --temperature 0.8 --top-p 0.95",
  ]
  static override flags = {
    model: shared.model,
    prompt: Flags.string({ helpValue: 'TEXT', description: 'the prompt [default: lines of standard input]' }),
    'prompt-file': Flags.string({
      helpValue: 'FILE',
      exclusive: ['prompt'],
      description: 'file with a prompt on each line, JSON lines with a "text", or records of DNA',
    }),
    output: shared.output,
    force: shared.force,
    format: format(['text', 'jsonl', 'fasta']),
    'max-tokens': integer({ min: 1, default: 128, description: 'tokens to write behind a prompt, at the most' }),
    temperature: number({
      min: 0,
      max: 100,
      default: 0,
      description: '0: always the most likely token; above: drawn, 1 as the model says, flatter above that',
    }),
    'top-k': integer({ min: 1, description: 'draw from so many of the most likely tokens [default: all]' }),
    'top-p': number({
      min: 0,
      max: 1,
      default: 1,
      description: 'draw from the most likely tokens that together have this probability',
    }),
    'repetition-penalty': number({
      min: 0.01,
      max: 100,
      default: 1,
      description: 'above 1, tokens that are there already become less likely',
    }),
    stop: Flags.string({
      helpValue: 'TEXT',
      multiple: true,
      multipleNonGreedy: true,
      description: 'end before this text; may be given again',
    }),
    seed: shared.seed,
    device: shared.device,
    precision: shared.precision,
    threads: shared.threads,
    chunk: shared.chunk,
    'max-memory': shared['max-memory'],
    'dry-run': shared['dry-run'],
    'on-error': shared['on-error'],
    progress: shared.progress,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Generate)
    const { openGeneration } = await import('../src/tasks/open.js')
    const { drainRows } = await import('../src/tasks/drain.js')
    const { openOutput } = await import('../src/output/output.js')
    const { generatedRows } = await import('../src/output/generated.js')
    const { print } = await import('../src/output/print.js')
    const { unitOf } = await import('../src/tokens/tokenizer.js')

    if (flags.prompt === '') throw usage('--prompt is empty: give at least one token')
    if (flags.stop?.includes('')) throw usage('--stop is empty')
    const settings = {
      maxTokens: flags['max-tokens'],
      temperature: flags.temperature,
      topK: flags['top-k'],
      topP: flags['top-p'],
      repetitionPenalty: flags['repetition-penalty'],
      stop: flags.stop ?? [],
      seed: flags.seed,
    }
    const outputs = [{ role: '-o', path: flags.output }]
    const opened = await openGeneration(flags, settings, outputs, (line) => this.note(line))
    if (flags.format === 'fasta' && unitOf(opened.spec) !== 'bases')
      throw usage('FASTA holds DNA, but this model writes text: use --format text or jsonl')
    if (flags['dry-run']) return print(await opened.run.dryRun())
    const output = await openOutput(flags.output, flags)
    const rows = await generatedRows(flags.format, output)
    this.progress = await Progress.start(progressStyle(flags, flags.output === '-'))
    await drainRows(opened, this.progress, rows, output)
  }
}

const usage = (text: string) => new UserError(text, exitCodes.usage)
