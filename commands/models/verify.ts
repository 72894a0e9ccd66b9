import * as Args from '@oclif/core/args'
import { exitCodes, UserError } from '../../src/errors.js'
import { print } from '../../src/output/print.js'
import { LongwaveCommand } from '../../src/shell/command.js'
import { hubModels, shared } from '../../src/shell/flags.js'
import { Progress, progressStyle, pullProgress } from '../../src/shell/progress.js'

export default class ModelsVerify extends LongwaveCommand {
  static override description =
    'Hash every file of models in the cache of the hub, and compare with what the hub said of it. Ends with 69 if one is damaged or missing.'
  static override examples = [
    '<%= config.bin %> models verify kuleshov-group/caduceus-ph_seqlen-131k_d_model-256_n_layer-16',
  ]
  static override args = {
    models: Args.string({ description: `${hubModels.description} [default: all]`, multiple: true, ignoreStdin: true }),
  }
  static override flags = { progress: shared.progress, json: shared.json }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ModelsVerify)
    const { cachedCommits } = await import('../../src/checkpoints/hub/named.js')
    const { verifyCached } = await import('../../src/checkpoints/hub/verify.js')
    const { cachedNames } = await import('../../src/checkpoints/model-list.js')
    const { columns } = await import('../../src/output/columns.js')
    const models = []
    for (const name of args.models ?? (await cachedNames())) models.push(await cachedCommits(name))
    const progress = await Progress.start(progressStyle(flags, false))
    this.progress = progress
    const began = performance.now()
    const rows = await verifyCached(models, (bytes, total) =>
      progress.tick(() => {
        const seconds = (performance.now() - began) / 1000
        return pullProgress('verified', { bytes, total, came: bytes, seconds })
      }),
    )
    progress.stop()
    const cells = rows.map(({ state, model, commit, file }) => [state, model, commit.slice(0, 7), file])
    await print(flags.json ? `${JSON.stringify(rows, null, 2)}\n` : columns(cells))
    const wrong = rows.find(({ state }) => state === 'damaged' || state === 'missing')
    if (wrong === undefined) return
    const { path, state, model, commit } = wrong
    throw new UserError(
      `${path}: is ${state}; remove it, and longwave models pull ${model}@${commit} brings it again`,
      exitCodes.unavailable,
    )
  }
}
