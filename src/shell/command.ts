import { Command } from '@oclif/core/command'
import type * as Interfaces from '@oclif/core/interfaces'
import { printable } from '../text/printable.js'
import { everywhere } from './flags.js'
import type { Progress } from './progress.js'

/**
 * What all commands share: --quiet and --verbose, notes on standard error, and a progress line that is taken off the
 * terminal before an error is printed. Errors are thrown; `main` turns them into one line and an exit code.
 * Data never goes through oclif's `this.log`, which loses what a slow reader has not taken yet: see src/output.
 */
export abstract class LongwaveCommand extends Command {
  static override baseFlags = everywhere

  protected progress: Progress | null = null
  private quiet = false

  protected override async parse<
    F extends Interfaces.OutputFlags<F>,
    B extends Interfaces.OutputFlags<B>,
    A extends Interfaces.OutputArgs<A>,
  >(options?: Interfaces.Input<F, B, A>, argv?: string[]): Promise<Interfaces.ParserOutput<F, B, A>> {
    const parsed = await super.parse(options, argv)
    this.quiet = (parsed.flags as { quiet?: boolean }).quiet === true
    return parsed
  }

  protected override async catch(error: Error): Promise<void> {
    throw error
  }

  protected override async finally(): Promise<void> {
    this.progress?.stop()
  }

  /** One line for the person at the terminal, unless --quiet. */
  protected note(line: string): void {
    if (this.progress !== null) this.progress.note(line)
    else if (!this.quiet) process.stderr.write(`longwave: ${printable(line)}\n`)
  }
}
