import { describe, expect, it } from 'vitest'
import { checkRates, peakOf, trainableNames } from '../../src/training/parts.js'

const names = [
  'embedding.weight',
  'blocks.0.norm.weight',
  'blocks.0.mixer.A_log',
  'blocks.1.mixer.A_log',
  'blocks.10.mixer.A_log',
  'norm_f.weight',
  'head.weight',
  'head.bias',
]
const tied = names.filter((name) => !name.startsWith('head.'))

describe('frozen parts', () => {
  it.each([
    ['none', names],
    ['body', ['head.weight', 'head.bias']],
    ['0', names.slice(1)],
    ['1', names.slice(3)],
    ['2', names.slice(4)],
    ['11', names.slice(5)],
    ['embedding', names.slice(1)],
    ['blocks', ['embedding.weight', 'norm_f.weight', 'head.weight', 'head.bias']],
    ['2,norm,head', ['blocks.10.mixer.A_log']],
  ])('%s', (freeze, trainable) => expect(trainableNames(names, freeze, 11)).toEqual(trainable))

  it.each([
    ['tail', "--freeze: this model has no part 'tail'; parts: embedding, blocks, norm, body, head"],
    ['stem', "--freeze: this model has no part 'stem'; parts: embedding, blocks, norm, body, head"],
    ['constructor', "--freeze: this model has no part 'constructor'; parts: embedding, blocks, norm, body, head"],
    ['embedding,', "--freeze: this model has no part ''; parts: embedding, blocks, norm, body, head"],
    ['12', '--freeze 12: expected at most 11, the blocks of this model'],
    ['-1', "--freeze: this model has no part '-1'; parts: embedding, blocks, norm, body, head"],
    ['body,head', '--freeze body,head: nothing is left that could learn'],
  ])('are refused: %s', (freeze, message) => {
    expect(() => trainableNames(names, freeze, 11)).toThrow(expect.objectContaining({ message, exitCode: 2 }))
  })

  it('leave no head where the embedding is the head', () => {
    expect(() => trainableNames(tied, 'head', 11)).toThrow(/no part 'head'; parts: embedding, blocks, norm, body$/)
    expect(() => trainableNames(tied, 'body', 11)).toThrow('--freeze body: nothing is left that could learn')
  })
})

describe('learning rates of parts', () => {
  const rates = { lr: 1, part_lr: { body: 0.1, embedding: 0.01 } }

  it('are those of the part, then of the body, then of all', () => {
    expect(names.map((name) => peakOf(name, rates))).toEqual([0.01, 0.1, 0.1, 0.1, 0.1, 0.1, 1, 1])
    expect(names.map((name) => peakOf(name, { lr: 2 }))).toEqual(names.map(() => 2))
  })

  it('are refused of parts that are not there or do not learn', () => {
    checkRates(rates, names, names)
    expect(() => checkRates({ part_lr: { tail: 1 } }, names, names)).toThrow(
      "learning rate: this model has no part 'tail'; parts: embedding, blocks, norm, body, head",
    )
    expect(() => checkRates(rates, names, trainableNames(names, 'embedding', 11))).toThrow(
      "learning rate of 'embedding': this part is frozen",
    )
  })
})
