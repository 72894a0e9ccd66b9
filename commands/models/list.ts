import type { ModelSummary } from '../../src/checkpoints/catalogue.js'
import { UserError } from '../../src/errors.js'
import { print } from '../../src/output/print.js'
import { LongwaveCommand } from '../../src/shell/command.js'
import { shared } from '../../src/shell/flags.js'

/** A folder of a model that cannot be opened, and why. */
interface BrokenModel {
  name: string
  folder: string
  error: string
}

export default class ModelsList extends LongwaveCommand {
  static override description = 'List the bundled models with their size and test figures.'
  static override flags = { json: shared.json }

  async run(): Promise<void> {
    const { flags } = await this.parse(ModelsList)
    const { bundledModels, modelFolder, summarizeModel } = await import('../../src/checkpoints/catalogue.js')
    const { columns } = await import('../../src/output/columns.js')
    const models: (ModelSummary | BrokenModel)[] = []
    for (const name of await bundledModels()) {
      const folder = await modelFolder(name)
      const broken = (error: unknown): BrokenModel => {
        if (!(error instanceof UserError)) throw error
        this.note(error.message)
        return { name, folder, error: error.message }
      }
      models.push(await summarizeModel(folder).catch(broken))
    }
    if (flags.json) return print(`${JSON.stringify(models, null, 2)}\n`)
    if (models.length === 0) return this.note('no models are bundled')
    const figures = (test: Record<string, number>) =>
      Object.entries(test)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')
    const rows = models.map((m) =>
      'error' in m
        ? [m.name, '', '', '', `broken: ${m.error}`]
        : [m.name, m.parameters, m.labels.length, figures(m.test), m.description],
    )
    await print(columns([['name', 'parameters', 'labels', 'test', 'description'], ...rows]))
  }
}
