import { print } from '../../src/output/print.js'
import { LongwaveCommand } from '../../src/shell/command.js'
import { shared } from '../../src/shell/flags.js'

export default class ModelsList extends LongwaveCommand {
  static override description =
    'List the bundled models and those in the cache of the hub, with their size and test figures.'
  static override flags = { json: shared.json }

  async run(): Promise<void> {
    const { flags } = await this.parse(ModelsList)
    const { listModels } = await import('../../src/checkpoints/model-list.js')
    const { columns } = await import('../../src/output/columns.js')
    const { quantity } = await import('../../src/shell/progress.js')
    const { models, others } = await listModels()
    for (const model of models) if ('error' in model && model.state === 'broken') this.note(model.error)
    if (others > 0) this.note(`${others} more in the cache of the hub, of kinds that longwave does not read`)
    if (flags.json) return print(`${JSON.stringify(models, null, 2)}\n`)
    if (models.length === 0) return this.note('no models are here')
    const figures = (test: Record<string, number>) =>
      Object.entries(test)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')
    const rows = models.map((m) =>
      'error' in m
        ? [m.name, '', '', '', '', '', `${m.state}: ${m.error}`]
        : [
            m.name,
            m.parameters,
            m.labels.length,
            quantity(m.bytes, 'B'),
            m.commit === undefined ? '' : [...(m.refs ?? []), m.commit.slice(0, 7)].join(' '),
            figures(m.test),
            m.description,
          ],
    )
    await print(columns([['name', 'parameters', 'labels', 'size', 'revision', 'test', 'description'], ...rows]))
  }
}
