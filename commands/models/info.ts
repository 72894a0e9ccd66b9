import * as Args from '@oclif/core/args'
import { print } from '../../src/output/print.js'
import { LongwaveCommand } from '../../src/shell/command.js'
import { shared } from '../../src/shell/flags.js'
import type { HeadSpec, ModelSpec } from '../../src/spec.js'

export default class ModelsInfo extends LongwaveCommand {
  static override description =
    'Show what a model on this machine is: kind, shape, size, input, labels, licence and test figures.'
  static override examples = ['<%= config.bin %> models info origin', '<%= config.bin %> models info ./my-model --json']
  static override args = {
    model: Args.string({ description: 'bundled model, model folder, or ORG/NAME of the hub', ignoreStdin: true }),
  }
  static override flags = { model: shared.model, json: shared.json }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(ModelsInfo)
    const { localModel, summarizeModel } = await import('../../src/checkpoints/catalogue.js')
    const { cachedFolder } = await import('../../src/checkpoints/hub/pull.js')
    const { columns } = await import('../../src/output/columns.js')
    const place = await localModel(args.model ?? flags.model)
    const model = await summarizeModel(typeof place === 'string' ? place : await cachedFolder(place))
    if (flags.json) return print(`${JSON.stringify(model, null, 2)}\n`)
    const rows: (string | number)[][] = [
      ['name', model.name],
      ['description', model.description],
      ['folder', model.folder],
      ...(model.commit === undefined ? [] : [['revision', [...(model.refs ?? []), model.commit].join(' ')]]),
      ['licence', model.licence ?? 'unknown'],
      ['kind', model.layout ?? 'none that longwave reads'],
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
    ['input', inputOf(spec)],
    [
      'stem',
      spec.stem.length === 0 ? 'none' : spec.stem.map((s) => `window ${s.window} stride ${s.stride}`).join(', '),
    ],
    ['blocks', `${spec.blocks.length} x ${[...mixers].join('/')}, d_model ${spec.d_model}`],
    ['head', headOf(spec.head)],
    ...(spec.input.kind === 'tokens' ? [['strand', spec.strand]] : []),
    ...(spec.trained_length === undefined ? [] : [['trained length', `${spec.trained_length} bases`]]),
  ]
}

function inputOf({ input, d_embed }: ModelSpec): string {
  if (input.kind === 'tokens') return `${input.tokenizer}, ${input.vocab_size} tokens`
  if (input.kind === 'values') return `${d_embed} values to a row`
  const { n_mels, f_min, f_max, hop, sample_rate } = input
  return `audio, ${n_mels} mel bands from ${f_min} to ${f_max} Hz every ${(1000 * hop) / sample_rate} ms`
}

function headOf(head: HeadSpec | null): string {
  switch (head?.kind) {
    case undefined:
      return 'none'
    case 'tokens':
      return 'tokens'
    case 'classes':
      return `classes, pool ${head.pool}${head.temperature === undefined ? '' : `, temperature ${head.temperature}`}`
    case 'ctc':
      return `text (CTC) of ${head.vocabulary
        .slice(1)
        .map((entry) => JSON.stringify(entry))
        .join(' ')}`
    case 'forecast':
      return `${head.quantiles.length} quantiles of the next ${head.patch} values`
    default:
      return head satisfies never
  }
}
