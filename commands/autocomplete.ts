import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as Args from '@oclif/core/args'
import { print } from '../src/output/print.js'
import { packageRoot } from '../src/runtime/package-root.js'
import { LongwaveCommand } from '../src/shell/command.js'

/** Both files are read when longwave is completed for the first time, so that no shell starts later. */
const setUp = `bash (with the package bash-completion; a new shell has it):
    mkdir -p ~/.local/share/bash-completion/completions
    longwave autocomplete bash > ~/.local/share/bash-completion/completions/longwave

bash without that package: this line in ~/.bashrc
    eval "$(longwave autocomplete bash)"

zsh (the folder is any of $fpath; in ~/.zshrc, before compinit: fpath+=~/.zfunc):
    mkdir -p ~/.zfunc
    longwave autocomplete zsh > ~/.zfunc/_longwave
`

export default class Autocomplete extends LongwaveCommand {
  static override description =
    'Print a script that completes commands, flags, values, models and files in bash or zsh; without a shell, how to set it up. Writes no file.'
  static override examples = ['<%= config.bin %> autocomplete', '<%= config.bin %> autocomplete bash']
  static override args = {
    shell: Args.string({ description: 'the shell', options: ['bash', 'zsh'], ignoreStdin: true }),
  }

  async run(): Promise<void> {
    const { args } = await this.parse(Autocomplete)
    await print(
      args.shell === undefined ? setUp : await readFile(join(packageRoot, 'dist/completion', args.shell), 'utf8'),
    )
  }
}
