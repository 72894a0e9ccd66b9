import { arch, platform } from 'node:os'
import { print } from '../src/output/print.js'
import { LongwaveCommand } from '../src/shell/command.js'
import { shared } from '../src/shell/flags.js'

export default class Version extends LongwaveCommand {
  static override description = 'Print the version, a bare number that pipelines can read.'
  static override flags = { json: shared.json }

  async run(): Promise<void> {
    const { flags } = await this.parse(Version)
    const { version } = this.config
    const details = { longwave: version, node: process.version, platform: platform(), arch: arch() }
    await print(flags.json ? `${JSON.stringify(details)}\n` : `${version}\n`)
  }
}
