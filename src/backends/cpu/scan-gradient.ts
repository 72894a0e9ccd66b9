import type { ScanArgs, ScanGradients, Tensor } from '../backend.js'
import { readingOrder } from '../segments.js'
import { isBlank, startBlank } from './blank.js'
import { checkScan, keptRows, padGroups, selectiveScan } from './scan.js'
import { firstRow, stepOf } from './segments.js'
import { type CpuTensor, cpu, expectShape, freeTensor, type Machine, newTensor } from './tensor.js'

/**
 * See `Gradients.selectiveScan`. The kernel takes states in fours and always writes dA_log, dB and dC, so these go to
 * padded or spare tensors where the caller has other ones.
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
    kernels.clear(x.at, rows * cols * 4)
    temporary.push(x)
    return x
  }
  try {
    const paddedStates = (x: Tensor) => {
      const y = zeros(E, width)
      kernels.copyRows(E, N, cpu(x).at, cpu(x).step, y.at, y.step)
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
      kernels.copyRows(states * E, N, kept.at, N * 4, y.at, y.step)
      return y
    }
    const rates = paddedStates(args.A_log)
    kernels.decayRates(rates.at, E * width, rates.at)
    const last = dState && paddedStates(dState)
    const [B, C] = [paddedGroups(args.B), paddedGroups(args.C)]
    const dA_log = zeros(E, width)
    const dB = padded || !into.dB ? zeros(T, G * width) : cpu(into.dB)
    const dC = padded || !into.dC ? zeros(T, G * width) : cpu(into.dC)
    const kept = keptStates()
    const scratch = newTensor(machine, 1, kernels.scanGradScratch(E / G, width) / 4)
    temporary.push(scratch)

    const channels = E / G
    const [nothing, nowhere] = [zeros(1, E), zeros(1, E)]
    const outputs = [into.du, into.ddt, args.z && into.dz].filter((x) => x !== null)
    const fresh = outputs.every(isBlank)
    if (fresh) outputs.forEach(startBlank)
    let state = kept.at
    for (const part of parts) {
      for (let g = 0; g < G; g++) {
        const e = g * channels * 4
        const first = e * width
        const place = (x: Tensor, offset = e) => [firstRow(cpu(x), part, direction) + offset, stepOf(cpu(x), direction)]
        const ofGroup = (x: Tensor) => place(x, g * width * 4)
        const output = (x: Tensor | null) => (x ? place(x) : [nowhere.at + e, 0])
        const row = (x: Tensor | null, otherwise: CpuTensor) => cpu(x ?? otherwise).at + e
        const z = args.z ? place(args.z) : [0, 0]
        const inputs = [...place(args.u), ...place(args.dt), ...ofGroup(B), ...ofGroup(C), ...z, ...place(dy)]
        const parameters = [rates.at + first, row(args.D, nothing), row(args.dtBias, nothing), args.softplus ? 1 : 0]
        const ends = [state + first, E * width * 4, last ? last.at + first : 0]
        const ofTokens = [into.du, into.ddt].flatMap(output).concat(ofGroup(dB), ofGroup(dC), output(args.z && into.dz))
        const ofChannels = [row(args.D && into.dD, nowhere), row(args.dtBias && into.ddtBias, nowhere)]
        kernels.scanGrad(
          ...[part.rows, channels, width, ...inputs, ...parameters, ...ends, ...ofTokens, fresh ? 1 : 0],
          ...[dA_log.at + first, ...ofChannels, scratch.at],
        )
      }
      state += kernels.keptStates(part.rows) * E * width * 4
    }

    /** The first N of every `width` columns are added to a tensor of the caller. */
    const unpad = (x: CpuTensor, to: Tensor | null, groups: number) => {
      if (!to) return
      const y = cpu(to)
      for (let g = 0; g < groups; g++) {
        const [from, target] = [x.at + g * width * 4, y.at + g * N * 4]
        kernels.accumulate(y.rows, N, from, x.step, from, x.step, from, x.step, 0, target, y.step)
      }
    }
    unpad(dA_log, into.dA_log, 1)
    if (padded) unpad(dB, into.dB, G)
    if (padded) unpad(dC, into.dC, G)
  } finally {
    for (const x of temporary) freeTensor(machine, x)
  }
}
