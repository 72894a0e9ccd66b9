import * as Flags from '@oclif/core/flags'
import { exitCodes, UserError } from '../src/errors.js'
import { type TableFormat, tableFormats } from '../src/output/formats.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { dnaFlags, format, inputs, length, number, shared } from '../src/shell/flags.js'
import { Progress, progressStyle } from '../src/shell/progress.js'
import type { DnaFlags } from '../src/tasks/open.js'
import type { Prediction } from '../src/tasks/predict.js'

type VariantFlags = DnaFlags & {
  vcf: string
  reference: string
  output: string
  format: TableFormat | 'vcf'
  'dry-run'?: boolean
}

export default class Score extends LongwaveCommand {
  static override description =
    'Say how likely a model takes records, or windows of them, to be: log-likelihood, bits per base (text: per token), perplexity. A model that reads forward predicts the next token (train next-base makes one for DNA), and a long record is read in pieces, with its state carried along; one that reads both ways (Caduceus) predicts masked bases, in seven passes. With --vcf: how likely the alleles of variants are, each in its surroundings, and how far each moves the embedding.'
  static override examples = [
    '<%= config.bin %> score -m bases reads.fq.gz',
    '<%= config.bin %> score -m bases --window 10000 --strand + genome.fa -o windows.tsv.gz',
    '<%= config.bin %> score -m bases --per-token genome.bedgraph genome.fa -o genome.tsv',
    '<%= config.bin %> score -m bases --vcf variants.vcf.gz --reference genome.fa -o scored.vcf.gz',
  ]
  static override args = { inputs }
  static override flags = {
    model: shared.model,
    output: shared.output,
    force: shared.force,
    resume: shared.resume,
    format: format([...tableFormats, 'vcf']),
    'per-token': Flags.string({
      helpValue: 'FILE',
      description:
        'also write the log-probability of each base or token: .bedgraph (DNA; of both strands a file each) or .jsonl',
    }),
    vcf: Flags.string({
      helpValue: 'FILE',
      dependsOn: ['reference'],
      exclusive: ['per-token', 'stride', 'min-length', 'max-length', 'infile-list'],
      description: "score the variants of this VCF, plain or gzip, instead of records; '-': standard input",
    }),
    reference: Flags.string({
      helpValue: 'FILE',
      dependsOn: ['vcf'],
      description: 'genome of --vcf: FASTA, plain or bgzip, with the index that samtools faidx makes',
    }),
    region: Flags.string({
      helpValue: 'CHROM:FROM-TO',
      dependsOn: ['vcf'],
      description: 'only the variants of --vcf there, counted from 1, both ends included',
    }),
    ...dnaFlags,
    window: number({
      ...length,
      description:
        'cut records into windows of this many bases (text: tokens), each read by itself; with --vcf: bases around a variant [default: what the model was trained on, at most 1024]',
    }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Score)
    const { vcf, reference } = flags
    if (vcf !== undefined && reference !== undefined) {
      if (args.inputs?.length) throw new UserError('--vcf FILE is the input: leave the others out', exitCodes.usage)
      return this.scoreVariants({ ...flags, vcf, reference })
    }
    const { format } = flags
    if (format === 'vcf') throw new UserError('--format vcf needs --vcf', exitCodes.usage)
    const { Scores, TokenScores, wantLikelihoods } = await import('../src/tasks/score.js')
    const { defaultStrand } = await import('../src/tasks/dna/run.js')
    const { openRun } = await import('../src/tasks/open.js')
    const { drain } = await import('../src/tasks/drain.js')
    const { abortAll, closeAll, openAll } = await import('../src/output/output.js')
    const { print } = await import('../src/output/print.js')
    const { scoreRows } = await import('../src/output/scores.js')
    const { bedGraphRows, tokenFormat, tokenLines, tokenPaths } = await import('../src/output/token-scores.js')
    const { dnaTokenizer, unitOf } = await import('../src/tokens/tokenizer.js')

    const { window, stride = window, 'per-token': tokenFile } = flags
    const tokensAs = tokenFile === undefined ? null : tokenFormat(tokenFile)
    if (tokensAs === 'bedgraph' && window !== undefined && stride! < window)
      throw new UserError(
        'bedGraph has one value for a base: use windows that do not overlap, or .jsonl',
        exitCodes.usage,
      )
    const pathsFor = (strand: '+' | '-' | 'both') => (tokenFile === undefined ? [] : tokenPaths(tokenFile, strand))
    const possible = flags.strand ? pathsFor(flags.strand) : [...pathsFor('+'), ...pathsFor('both')]
    const files = {
      command: { name: 'score', version: this.config.version },
      inputs: args.inputs,
      folders: true,
      outputs: [
        { role: '-o', path: flags.output },
        ...[...new Set(possible)].map((path) => ({ role: '--per-token', path })),
      ],
    }
    const opened = await openRun(flags, files, wantLikelihoods, (line) => this.note(line))
    const { spec, tokenizer } = opened
    const unit = unitOf(spec) === 'bases' ? 'base' : 'token'
    if (tokensAs === 'bedgraph' && unit !== 'base')
      throw new UserError('bedGraph counts bases, but this model reads text: use .jsonl', exitCodes.usage)
    if (flags['dry-run']) return print(await opened.run.dryRun())
    const paths = pathsFor(unit === 'base' ? (flags.strand ?? defaultStrand(spec)) : '+')
    const outputs = await openAll([flags.output, ...paths], { ...flags, resumed: opened.resume?.resumed })
    const [output, ...tokenOutputs] = outputs
    const rows = await scoreRows(format, output, unit, window !== undefined)
    const tokenRows =
      tokensAs === 'bedgraph'
        ? bedGraphRows(tokenOutputs)
        : tokensAs === 'jsonl'
          ? await tokenLines(tokenOutputs[0], unit)
          : null
    this.progress = await Progress.start(progressStyle(flags, flags.output === '-'))
    const scores = new Scores()
    const tokens = new TokenScores(tokenizer ? (id) => tokenizer.token(id) : dnaTokenizer(spec.input).letter)
    const take = async (prediction: Prediction) => {
      const scored = scores.push(prediction)
      if (scored) await rows.write(scored)
      if (tokenRows) for (const token of tokens.push(prediction)) await tokenRows.write(token)
    }
    const finish = async () => {
      await rows.end()
      await tokenRows?.end()
      await closeAll(...outputs)
    }
    await drain(opened, this.progress, take, finish, () => abortAll(...outputs))
  }

  private async scoreVariants(flags: VariantFlags): Promise<void> {
    const { drainRows } = await import('../src/tasks/drain.js')
    const { openVariants } = await import('../src/tasks/open.js')
    const { openOutput } = await import('../src/output/output.js')
    const { print } = await import('../src/output/print.js')
    const { refuseScored, variantRows, vcfLines } = await import('../src/output/variants.js')

    const { version } = this.config
    const files = { command: { name: 'score', version }, outputs: [{ role: '-o', path: flags.output }] }
    const opened = await openVariants(flags, files, (line) => this.note(line))
    if (flags['dry-run']) return print(await opened.run.dryRun())
    const { run, resume } = opened
    const { format } = flags
    if (format === 'vcf') refuseScored(run.vcf)
    const output = await openOutput(flags.output, { ...flags, resumed: resume?.resumed })
    const rows =
      format === 'vcf'
        ? vcfLines(output, run.vcf.header, { version, model: flags.model!, window: run.window })
        : await variantRows(format, output)
    this.progress = await Progress.start(progressStyle(flags, flags.output === '-'))
    await drainRows(opened, this.progress, rows, output)
  }
}
