import { LongwaveCommand } from '../../src/shell/command.js'
import { hubModels } from '../../src/shell/flags.js'
import { quantity } from '../../src/shell/progress.js'

export default class ModelsRemove extends LongwaveCommand {
  static override description =
    'Remove models from the cache of the hub: ORG/NAME with all its revisions, ORG/NAME@REVISION with what no other revision of it uses.'
  static override examples = [
    '<%= config.bin %> models remove kuleshov-group/caduceus-ph_seqlen-131k_d_model-256_n_layer-16',
  ]
  static override args = { models: hubModels }

  async run(): Promise<void> {
    const { args } = await this.parse(ModelsRemove)
    const { cachedCommits } = await import('../../src/checkpoints/hub/named.js')
    const { removeCommit, removeModel } = await import('../../src/checkpoints/hub/remove.js')
    const models = []
    for (const name of args.models) models.push({ name, ...(await cachedCommits(name)) })
    for (const { name, repo, commits } of models) {
      const freed = await (name.includes('@') ? removeCommit(repo, commits[0]) : removeModel(repo))
      this.note(`${name}: removed, ${quantity(freed, 'B')}`)
    }
  }
}
