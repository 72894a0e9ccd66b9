import type { ScanArgs, Tensor } from '../backend.js'
import { type Part, readingOrder } from '../segments.js'
import { expectState, firstRow, stateOf, stepOf } from './segments.js'
import { at, CpuTensor, cpu, expectContiguous, expectShape, type Machine, newTensor, withScratch } from './tensor.js'

/**
 * The kernel takes states in fours, so another N is padded: copies of B, C, A_log and the state with zeros, which stay
 * zero and add zero to the result.
 */
export function selectiveScan(machine: Machine, args: ScanArgs, state: Tensor | null, addTo?: Tensor): CpuTensor {
  const { kernels } = machine
  const { direction } = args
  const { rows: T, cols: E } = args.u
  const N = args.A_log.cols
  const G = checkScan(args, addTo)
  const parts = readingOrder(args.segments, direction, T)
  expectState('scan state', state, E, N, parts)
  const y = addTo ? cpu(addTo) : newTensor(machine, T, E)
  const width = Math.ceil(N / 4) * 4
  const padded = width !== N

  const stateBytes = E * width * 4
  const groupBytes = padded ? T * G * width * 4 : 0
  const kept = args.kept ? cpu(args.kept) : null
  if (kept) expectShape('kept', kept, keptRows(machine, parts), E * N)
  const keptBytes = padded && kept ? kept.rows * stateBytes : 0
  withScratch(machine, 2 * stateBytes + 2 * groupBytes + keptBytes + 2 * E * 4, (rates) => {
    const room = rates + stateBytes
    const scratch = room + stateBytes
    const groups = scratch + 2 * E * 4
    const pad = (x: number, y: number) => kernels.copyRows({ rows: E, cols: N, x, xStep: N * 4, y, yStep: width * 4 })
    const unpad = (rows: number, x: number, y: number) =>
      kernels.copyRows({ rows, cols: N, x, xStep: width * 4, y, yStep: N * 4 })

    let [B, C] = [cpu(args.B), cpu(args.C)]
    if (padded) {
      kernels.clear({ at: rates, bytes: stateBytes })
      pad(at(args.A_log), rates)
      B = padGroups(machine, B, N, width, groups)
      C = padGroups(machine, C, N, width, groups + groupBytes)
    }
    kernels.decayRates({ A_log: padded ? rates : at(args.A_log), count: E * width, rates })

    const states = keptBytes ? groups + 2 * groupBytes : at(kept)
    let next = states
    const [u, dt, z] = [cpu(args.u), cpu(args.dt), args.z && cpu(args.z)]
    for (const part of parts) {
      const carried = stateOf(state, part, E)
      const h = carried && !padded ? carried : room
      if (padded || !part.resumes || !carried) kernels.clear({ at: h, bytes: stateBytes })
      if (padded && part.resumes && carried) pad(carried, h)
      kernels.selectiveScan({
        rows: part.rows,
        E,
        G,
        N: width,
        u: firstRow(u, part, direction),
        uStep: stepOf(u, direction),
        dt: firstRow(dt, part, direction),
        dtStep: stepOf(dt, direction),
        b: firstRow(B, part, direction),
        bStep: stepOf(B, direction),
        c: firstRow(C, part, direction),
        cStep: stepOf(C, direction),
        z: z ? firstRow(z, part, direction) : 0,
        zStep: z ? stepOf(z, direction) : 0,
        rates,
        D: at(args.D),
        dtBias: at(args.dtBias),
        useSoftplus: args.softplus ? 1 : 0,
        h,
        scratch,
        out: firstRow(y, part, direction),
        outStep: stepOf(y, direction),
        add: addTo ? 1 : 0,
        kept: next,
      })
      if (kept) next += kernels.keptStates({ rows: part.rows }) * stateBytes
      if (padded && carried) unpad(E, h, carried)
    }
    if (keptBytes) unpad(kept!.rows * E, states, at(kept))
  })
  return y
}

/** Rows of `kept`: states in reading order, several for a long segment. */
export function keptRows({ kernels }: Machine, parts: readonly Part[]): number {
  return parts.reduce((sum, { rows }) => sum + kernels.keptStates({ rows }), 0)
}

/** [T, G N] to [T, G width] at an address. */
export function padGroups({ kernels }: Machine, x: CpuTensor, N: number, width: number, to: number): CpuTensor {
  const groups = x.cols / N
  const y = new CpuTensor(to, x.rows, groups * width, groups * width * 4, false)
  kernels.clear({ at: to, bytes: y.rows * y.step })
  for (let g = 0; g < groups; g++) {
    kernels.copyRows({
      rows: x.rows,
      cols: N,
      x: x.at + g * N * 4,
      xStep: x.step,
      y: to + g * width * 4,
      yStep: y.step,
    })
  }
  return y
}

/** Checks all shapes and returns the number of groups. */
export function checkScan(args: ScanArgs, addTo: Tensor | undefined): number {
  const { rows: T, cols: E } = args.u
  const N = args.A_log.cols
  const G = args.B.cols / N
  if (!Number.isInteger(G) || E % G) throw new RangeError(`B with ${args.B.cols} columns for N = ${N}, E = ${E}`)
  expectShape('dt', args.dt, T, E)
  expectShape('A_log', args.A_log, E, N)
  expectShape('B', args.B, T, G * N)
  expectShape('C', args.C, T, G * N)
  expectShape('D', args.D, 1, E)
  expectShape('z', args.z, T, E)
  expectShape('dtBias', args.dtBias, 1, E)
  expectShape('addTo', addTo, T, E)
  expectContiguous('A_log', args.A_log)
  return G
}
