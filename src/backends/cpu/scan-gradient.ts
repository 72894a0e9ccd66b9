import type { ScanArgs, ScanGradients, Tensor } from '../backend.js'
import { readingOrder } from '../segments.js'
import { isUnwritten, startWriting } from './lazy-zeros.js'
import { checkScan, keptRows, padGroups, selectiveScan } from './scan.js'
import { firstRow, stepOf } from './segments.js'
import { at, CpuTensor, cpu, expectShape, freeTensor, type Machine, newTensor, rowByRow } from './tensor.js'

/**
 * See `Gradients.selectiveScan`. The kernel takes states in fours and always writes dA_log, dB and dC, so these go to
 * padded or temporary tensors where the caller has other ones.
 */
export function selectiveScanGradient(
  machine: Machine,
  dy: Tensor,
  args: ScanArgs,
  into: ScanGradients,
  dState: Tensor | null,
): void {
  const { kernels } = machine
  const { direction } = args
  const { rows: T, cols: E } = args.u
  const N = args.A_log.cols
  const G = checkScan(args, undefined)
  for (const one of [dy, into.du, into.ddt, into.dz]) expectShape('gradient', one, T, E)
  for (const one of [into.dB, into.dC]) expectShape('gradient of B or C', one, T, G * N)
  for (const one of [into.dA_log, dState]) expectShape('dA_log or dState', one, E, N)
  for (const one of [into.dD, into.ddtBias]) expectShape('gradient of D or dtBias', one, 1, E)
  if (args.segments.offsets.length !== 2 && dState) throw new RangeError('dState with several segments')
  const width = Math.ceil(N / 4) * 4
  const padded = width !== N
  const parts = readingOrder(args.segments, direction, T)
  const states = keptRows(machine, parts)
  expectShape('kept', args.kept, states, E * N)

  const temporary: CpuTensor[] = []
  const zeros = (rows: number, cols: number) => {
    const x = newTensor(machine, rows, cols)
    kernels.clear({ at: x.at, bytes: rows * cols * 4 })
    temporary.push(x)
    return x
  }
  try {
    const paddedStates = (x: Tensor) => {
      const y = zeros(E, width)
      kernels.copyRows(rowByRow(cpu(x), y))
      return y
    }
    const paddedGroups = (x: Tensor) => (padded ? padGroups(machine, cpu(x), N, width, zeros(T, G * width).at) : cpu(x))
    /** [states E, width], by a scan of its own if the forward pass has not kept them. */
    const keptStates = () => {
      const kept = args.kept ? cpu(args.kept) : newTensor(machine, states, E * N)
      if (!args.kept) {
        temporary.push(kept)
        temporary.push(selectiveScan(machine, { ...args, kept }, null))
      }
      if (!padded) return kept
      const y = zeros(states * E, width)
      kernels.copyRows({ rows: states * E, cols: N, x: kept.at, xStep: N * 4, y: y.at, yStep: y.step })
      return y
    }
    const rates = paddedStates(args.A_log)
    kernels.decayRates({ A_log: rates.at, count: E * width, rates: rates.at })
    const last = dState && paddedStates(dState)
    const [B, C] = [paddedGroups(args.B), paddedGroups(args.C)]
    const dA_log = zeros(E, width)
    const dB = padded || !into.dB ? zeros(T, G * width) : cpu(into.dB)
    const dC = padded || !into.dC ? zeros(T, G * width) : cpu(into.dC)
    const kept = keptStates()
    const channels = E / G
    const scratch = newTensor(machine, 1, kernels.scanGradScratch({ channels, N: width }) / 4)
    temporary.push(scratch)

    const nothing = zeros(1, E)
    // All its rows are the same one.
    const nowhere = new CpuTensor(zeros(1, E).at, T, E, 0, false)
    const outputs = [into.du, into.ddt, args.z && into.dz].filter((x) => x !== null)
    const fresh = outputs.every(isUnwritten)
    if (fresh) outputs.forEach(startWriting)
    const [u, dt, d] = [args.u, args.dt, dy].map(cpu)
    const z = args.z && cpu(args.z)
    const [du, ddt, dz] = [into.du, into.ddt, args.z && into.dz].map((x) => cpu(x ?? nowhere))
    let state = kept.at
    for (const part of parts) {
      for (let g = 0; g < G; g++) {
        const e = g * channels * 4
        const first = e * width
        const ofGroup = (x: CpuTensor) => firstRow(x, part, direction) + g * width * 4
        const ofChannels = (x: CpuTensor) => firstRow(x, part, direction) + e
        kernels.scanGrad({
          rows: part.rows,
          channels,
          N: width,
          u: ofChannels(u),
          uStep: stepOf(u, direction),
          dt: ofChannels(dt),
          dtStep: stepOf(dt, direction),
          b: ofGroup(B),
          bStep: stepOf(B, direction),
          c: ofGroup(C),
          cStep: stepOf(C, direction),
          z: z ? ofChannels(z) : 0,
          zStep: z ? stepOf(z, direction) : 0,
          dy: ofChannels(d),
          dyStep: stepOf(d, direction),
          rates: rates.at + first,
          D: at(args.D ?? nothing) + e,
          dtBias: at(args.dtBias ?? nothing) + e,
          useSoftplus: args.softplus ? 1 : 0,
          kept: state + first,
          keptStep: E * width * 4,
          dState: last ? last.at + first : 0,
          du: ofChannels(du),
          duStep: stepOf(du, direction),
          ddt: ofChannels(ddt),
          ddtStep: stepOf(ddt, direction),
          dB: ofGroup(dB),
          dBStep: stepOf(dB, direction),
          dC: ofGroup(dC),
          dCStep: stepOf(dC, direction),
          dz: ofChannels(dz),
          dzStep: stepOf(dz, direction),
          fresh: fresh ? 1 : 0,
          dA_log: dA_log.at + first,
          dD: at((args.D && into.dD) ?? nowhere) + e,
          ddtBias: at((args.dtBias && into.ddtBias) ?? nowhere) + e,
          scratch: scratch.at,
        })
      }
      state += kernels.keptStates({ rows: part.rows }) * E * width * 4
    }

    /** The first N of every `width` columns are added to a tensor of the caller. */
    const unpad = (x: CpuTensor, to: Tensor | null, groups: number) => {
      if (!to) return
      const y = cpu(to)
      for (let g = 0; g < groups; g++) {
        const d = x.at + g * width * 4
        kernels.accumulate({
          rows: y.rows,
          cols: N,
          d,
          dStep: x.step,
          a: 0,
          aStep: 0,
          b: 0,
          bStep: 0,
          how: 0,
          into: y.at + g * N * 4,
          intoStep: y.step,
        })
      }
    }
    unpad(dA_log, into.dA_log, 1)
    if (padded) unpad(dB, into.dB, G)
    if (padded) unpad(dC, into.dC, G)
  } finally {
    for (const x of temporary) freeTensor(machine, x)
  }
}
