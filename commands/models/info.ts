import { Args } from '@oclif/core'
import { print } from '../../src/output/print.js'
import { LongwaveCommand } from '../../src/shell/command.js'
import { shared } from '../../src/shell/flags.js'
import type { ModelSpec } from '../../src/spec.js'

export default class ModelsInfo extends LongwaveCommand {
  static override description = 'Show what a model is: shape, size, labels, licence and test figures.'
  static override examples = ['<%= config.bin %> models info origin', '<%= config.bin %> models info ./my-model --json']
  static override args = {
    model: Args.string({ description: 'bundled model or model folder', ignoreStdin: true }),
  }
  static override flags = { model: shared.model, json: shared.json }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ModelsInfo)
    const { modelFolder, summarizeModel } = await import('../../src/models.js')
    const { columns } = await import('../../src/output/columns.js')
    const model = await summarizeModel(await modelFolder(args.model ?? flags.model))
    if (flags.json) return print(`${JSON.stringify(model, null, 2)}\n`)
    const rows: (string | number)[][] = [
      ['name', model.name],
      ['description', model.description],
      ['folder', model.folder],
      ['licence', model.licence ?? 'unknown'],
      ['parameters', String(model.parameters)],
      ['bytes', String(model.bytes)],
      ...(model.spec === null ? [] : describeSpec(model.spec)),
      ...(model.labels.length === 0 ? [] : [['labels', model.labels.join(', ')]]),
      ...Object.entries(model.test).map(([name, value]) => [`test ${name}`, String(value)]),
    ]
    await print(columns(rows))
  }
}

function describeSpec(spec: ModelSpec): string[][] {
  const mixers = new Set(spec.blocks.map((block) => block.mixer.kind))
  return [
    ['tokenizer', `${spec.tokenizer}, ${spec.vocab_size} tokens`],
    [
      'stem',
      spec.stem.length === 0 ? 'none' : spec.stem.map((s) => `window ${s.window} stride ${s.stride}`).join(', '),
    ],
    ['blocks', `${spec.blocks.length} x ${[...mixers].join('/')}, d_model ${spec.d_model}`],
    ['head', spec.head === null ? 'none' : spec.head.kind === 'classes' ? `classes, pool ${spec.head.pool}` : 'tokens'],
    ['strand', spec.strand],
    ['trained length', spec.trained_length === undefined ? 'unknown' : String(spec.trained_length)],
  ]
}
