import { type Regime, usage } from './settings.js'

/** Parts of a model by the names of their weights, in the order of the forward pass. `body`, all but the head, holds the others. */
const parts: Record<string, RegExp> = {
  embedding: /^embedding\./,
  stem: /^stem\./,
  blocks: /^blocks\./,
  norm: /^norm_f\./,
  body: /^(?!head\.)/,
  head: /^head\./,
}

/** The weights of a part that is named. Errors: 2 for one that this model has not, with those that it has. */
function weightsOf(part: string, names: readonly string[], flag: string): string[] {
  const own = Object.keys(parts).filter((known) => names.some((name) => parts[known].test(name)))
  if (own.includes(part)) return names.filter((name) => parts[part].test(name))
  throw usage(`${flag}: this model has no part '${part}'; parts: ${own.join(', ')}`)
}

/**
 * The weights that learn. `freeze`: parts that do not, with commas between, among them a number: embedding, stem and so many blocks; or `none`.
 * Errors: 2.
 */
export function trainableNames(names: readonly string[], freeze: string, blocks: number): string[] {
  if (freeze === 'none') return [...names]
  const frozen = new Set(freeze.split(',').flatMap((part) => frozenBy(part, names, blocks)))
  const trainable = names.filter((name) => !frozen.has(name))
  if (trainable.length === 0) throw usage(`--freeze ${freeze}: nothing is left that could learn`)
  return trainable
}

function frozenBy(part: string, names: readonly string[], blocks: number): string[] {
  if (!/^\d+$/.test(part)) return weightsOf(part, names, '--freeze')
  const count = Number(part)
  if (count > blocks) throw usage(`--freeze ${part}: expected at most ${blocks}, the blocks of this model`)
  return names.filter((name) => {
    const block = /^blocks\.(\d+)\./.exec(name)
    return block ? Number(block[1]) < count : parts.embedding.test(name) || parts.stem.test(name)
  })
}

/** Errors: 2 for a learning rate of a part that this model has not, or of which nothing learns. */
export function checkRates(
  { part_lr = {} }: Pick<Regime, 'part_lr'>,
  names: readonly string[],
  trainable: readonly string[],
): void {
  for (const part of Object.keys(part_lr))
    if (!weightsOf(part, names, 'learning rate').some((name) => trainable.includes(name)))
      throw usage(`learning rate of '${part}': this part is frozen`)
}

/** The peak learning rate of a weight: that of its part, else of the body, else of all. */
export function peakOf(name: string, { lr, part_lr = {} }: Pick<Regime, 'lr' | 'part_lr'>): number {
  const named = Object.keys(part_lr).filter((part) => parts[part].test(name))
  const own = named.find((part) => part !== 'body') ?? named[0]
  return own === undefined ? lr : part_lr[own]
}
