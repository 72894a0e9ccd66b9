import type { Backend, FactorType } from '../backend.js'
import { attention } from './attention.js'
import { causalConv, unfold } from './conv.js'
import { openGpu } from './dawn.js'
import { activate, combine, scale } from './elementwise.js'
import { addRows, route } from './experts.js'
import { gatedDelta } from './gated-delta.js'
import { webgpuGradients } from './gradients/index.js'
import { linear } from './linear.js'
import { Machine } from './machine.js'
import { byMatrices, type MatrixTile } from './matrix-product.js'
import { norm } from './norm.js'
import { byThreads, type Product } from './product.js'
import { rotate } from './rotate.js'
import { gatherRows, pool } from './rows.js'
import { s4d } from './s4d.js'
import { s5 } from './s5.js'
import { type ScanForm, selectiveScan } from './scan.js'
import { ssd } from './ssd.js'
import { columnsOf, gpu, reshaped, rowsOf, StoredWeight } from './tensor.js'
import { type Tile, tiles } from './tile.js'
import { trapezoid } from './trapezoid.js'
import { turns } from './turns.js'
import { tensorsOf, uploadWeight } from './weights.js'

export interface WebgpuOptions {
  scan?: ScanForm
  /** Of matrix products by threads. */
  tile?: Tile
  /** Products are made by matrices of subgroups with factors of this type. */
  matrices?: FactorType
  matrixTile?: MatrixTile
  /** Of the largest tensor, where that is to be less than the GPU takes. */
  tensorBytes?: number
}

/** `machine`: for kernels that are no operation of a model. */
export type WebgpuBackend = Backend & { readonly machine: Machine }

/**
 * Kernels in WGSL on a GPU, by the npm package webgpu. It computes in float32. Backends of one thread share the device.
 * Errors: UserError with exit code 69 where there is no package, no GPU, or no such matrices.
 */
export async function openWebgpuBackend(options: WebgpuOptions = {}): Promise<WebgpuBackend> {
  const { tensorBytes = Infinity, scan, tile, matrices, matrixTile } = options
  const opened = await openGpu(matrices)
  const found = opened.matrices.find(({ factor }) => factor === matrices)
  const product = found && byMatrices(found, matrixTile)
  return webgpuBackend(new Machine(opened, Math.min(tensorBytes, opened.facts.tensorBytes)), { scan, tile, product })
}

interface Kernels {
  scan?: ScanForm
  tile?: Tile
  /** Default: by threads, with that tile. Gradients are always made so. */
  product?: Product
}

/** Its operations are files of this folder. */
export function webgpuBackend(
  machine: Machine,
  { scan = 'auto', tile = tiles[0], product = byThreads(tile) }: Kernels = {},
): WebgpuBackend {
  const upload = (data: ArrayLike<number>, rows: number, cols: number) => {
    const x = machine.allocate(rows, cols)
    write(x, data)
    return x
  }
  const write: Backend['write'] = (tensor, data) => {
    const x = gpu(tensor)
    if (!x.contiguous) throw new RangeError('a tensor to write must be contiguous')
    if (data.length !== x.rows * x.cols)
      throw new RangeError(`${data.length} numbers for a tensor [${x.rows}, ${x.cols}]`)
    machine.write(x, new Float32Array(data))
  }
  const gather = gatherRows(machine)
  return {
    name: 'webgpu',
    machine,
    use: () => machine.use(),
    upload,
    weight: (weight, name) => uploadWeight(machine, weight, name),
    zeros: (rows, cols) => {
      const x = machine.allocate(rows, cols)
      machine.clear(x)
      return x
    },
    write,
    download: (x) => machine.read(gpu(x)),
    release: (...tensors) => {
      for (const x of tensors) if (x) for (const one of tensorsOf(x)) machine.release(one)
    },
    columns: (x, from, to) => columnsOf(gpu(x), from, to),
    rows: (x, from, to) => (x instanceof StoredWeight ? x.rowsOf(from, to) : rowsOf(gpu(x), from, to)),
    reshape: (x, rows, cols) => reshaped(gpu(x), rows, cols),
    close: async () => machine.close(),
    embedRows: (ids, table) => gather(table, ids),
    linear: linear(machine, product),
    norm: norm(machine),
    causalConv: causalConv(machine),
    selectiveScan: (args, state, addTo) => selectiveScan(machine, args, state, addTo, scan),
    s4d: (args, state) => s4d(machine, args, state),
    s5: (args, state) => s5(machine, args, state),
    ssd: (args, state) => ssd(machine, args, state, scan),
    gatedDelta: (args, state) => gatedDelta(machine, args, state),
    turns: (args, state) => turns(machine, args, state),
    trapezoid: (args, state) => trapezoid(machine, args, state, scan),
    attention: (args, cache) => attention(machine, args, cache),
    rotate: rotate(machine),
    route: route(machine),
    addRows: addRows(machine),
    scale: scale(machine),
    combine: combine(machine),
    activate: activate(machine),
    unfold: unfold(machine),
    gatherRows: gather,
    pool: pool(machine),
    gradients: webgpuGradients(machine, tile),
  }
}
