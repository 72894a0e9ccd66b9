import { expect, test } from 'vitest'
import { Budget } from '../../src/tasks/budget.js'

test('what does not fit waits, in turn', async () => {
  const budget = new Budget(10)
  const order: string[] = []
  const work = async (name: string, bytes: number) => {
    await budget.take(bytes)
    order.push(name)
  }
  await work('a', 6)
  const b = work('b', 5)
  const c = work('c', 1) // would fit, but b came first
  await Promise.resolve()
  expect(order).toEqual(['a'])
  budget.give(6)
  await Promise.all([b, c])
  expect(order).toEqual(['a', 'b', 'c'])
  const d = work('d', 10)
  budget.give(5)
  await Promise.resolve()
  expect(order).toHaveLength(3)
  budget.give(1)
  await d
})
