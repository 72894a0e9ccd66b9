import { adamwNumbers } from '../adamw.js'
import type { Gradients } from '../backend.js'
import { cpu, expectShape, hostRows, type Machine } from './tensor.js'

/** What a step does to parameters, and needs of their gradients. Norm and running mean are taken in float64, number by number. */
export function cpuUpdate(machine: Machine): Pick<Gradients, 'globalNorm' | 'adamw' | 'runningMean'> {
  return {
    async globalNorm(tensors) {
      let squares = 0
      for (const x of tensors) {
        const row = hostRows(machine, x)
        for (let t = 0; t < x.rows; t++) for (const value of row(t)) squares += value * value
      }
      return Math.sqrt(squares)
    },

    adamw(param, grad, m, v, settings) {
      for (const one of [grad, m, v]) expectShape('adamw operand', one, param.rows, param.cols)
      const [p, g, mean, square] = [param, grad, m, v].map(cpu)
      machine.kernels.adamw({
        rows: p.rows,
        cols: p.cols,
        param: p.at,
        paramStep: p.step,
        grad: g.at,
        gradStep: g.step,
        m: mean.at,
        mStep: mean.step,
        v: square.at,
        vStep: square.step,
        ...adamwNumbers(settings),
      })
    },

    runningMean(mean, x, share) {
      expectShape('running mean operand', x, mean.rows, mean.cols)
      const [means, values] = [hostRows(machine, mean), hostRows(machine, x)]
      for (let t = 0; t < mean.rows; t++) {
        const [row, now] = [means(t), values(t)]
        for (let i = 0; i < row.length; i++) row[i] += share * (now[i] - row[i])
      }
    },
  }
}
