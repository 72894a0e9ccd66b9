import { print } from '../../src/output/print.js'
import { LongwaveCommand } from '../../src/shell/command.js'
import { shared } from '../../src/shell/flags.js'

export default class ModelsList extends LongwaveCommand {
  static override description = 'List the bundled models with their size and test figures.'
  static override flags = { json: shared.json }

  async run(): Promise<void> {
    const { flags } = await this.parse(ModelsList)
    const { bundledModels, modelFolder, summarizeModel } = await import('../../src/models.js')
    const { columns } = await import('../../src/output/columns.js')
    const models = []
    for (const name of await bundledModels()) models.push(await summarizeModel(await modelFolder(name)))
    if (flags.json) return print(`${JSON.stringify(models, null, 2)}\n`)
    if (models.length === 0) return this.note('no models are bundled')
    const figures = (test: Record<string, number>) =>
      Object.entries(test)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')
    const rows = models.map((m) => [m.name, m.parameters, m.labels.length, figures(m.test), m.description])
    await print(columns([['name', 'parameters', 'labels', 'test', 'description'], ...rows]))
  }
}
