import { print } from '../../src/output/print.js'
import { LongwaveCommand } from '../../src/shell/command.js'
import { hubModels, shared } from '../../src/shell/flags.js'

export default class ModelsPull extends LongwaveCommand {
  static override description =
    "Bring models of the hub into the cache that Python's huggingface_hub uses, and print their folders there. What is there stays, what was interrupted goes on, what comes damaged is fetched again."
  static override examples = [
    '<%= config.bin %> models pull kuleshov-group/caduceus-ph_seqlen-131k_d_model-256_n_layer-16',
  ]
  static override args = { models: hubModels }
  static override flags = { progress: shared.progress }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ModelsPull)
    const { hubName } = await import('../../src/checkpoints/hub/name.js')
    const { pullModel } = await import('../../src/checkpoints/hub/pull.js')
    const { watched } = await import('../../src/shell/found-model.js')
    const note = (line: string) => this.note(line)
    const names = args.models.map((text) => [text, hubName(text)] as const)
    for (const [text, name] of names)
      await print(`${await watched(text, flags, note, (watcher) => pullModel(name, watcher))}\n`)
  }
}
