import { type Backend, type FactorType, factorTypes } from '../backends/backend.js'
import { type Device, devices } from '../backends/registry.js'
import type { OnRound } from './report.js'
import { interleaved, median } from './rounds.js'
import { widths } from './scan.js'
import { timer } from './seconds.js'
import { maker } from './tensors.js'

/** A matrix product of a device by one of its kernels: medians over the rounds. */
export interface ProductBenchRow {
  product: string
  rows: number
  kernel: string
  /** Two operations per multiplication and addition. */
  gflops: number
  /** Against the fastest of the kernels on this product. */
  share: number
}

export interface ProductBenchOptions {
  device: Device
  /** Of both factors' result, at the most. */
  rows: number
  rounds: number
  onRound?: OnRound
}

interface Variant {
  name: string
  open(): Promise<Backend>
}

/** in_proj of a block with d_inner channels, `[rows, d_inner / 2]` to `[rows, 2 d_inner]`. The first kernel is the one in use. */
export async function benchProducts({
  device,
  rows,
  rounds,
  onRound,
}: ProductBenchOptions): Promise<ProductBenchRow[]> {
  const variants = await variantsOf(device)
  const out: ProductBenchRow[] = []
  for (const E of widths) {
    const [I, O] = [E / 2, 2 * E]
    const product = `${I} to ${O}`
    const backends = await Promise.all(variants.map((variant) => variant.open()))
    try {
      const timers = backends.map((backend) => {
        const make = maker(backend)
        const [x, weight] = [make(rows, I), make(O, I)]
        return timer(backend, () => backend.linear(x, weight))
      })
      const medians = await interleaved(timers, rounds, (done) => onRound?.(done, `product ${product}`))
      const gflops = medians.map((seconds) => (2 * rows * I * O) / median(seconds) / 1e9)
      const best = Math.max(...gflops)
      for (const [i, { name }] of variants.entries())
        out.push({ product, rows, kernel: name, gflops: gflops[i], share: gflops[i] / best })
    } finally {
      for (const backend of backends) await backend.close()
    }
  }
  return out
}

/** The ways in which a device can multiply matrices, the one in use where nothing else is asked for first. */
async function variantsOf(device: Device): Promise<Variant[]> {
  if (device === 'webgpu') {
    const { openWebgpuBackend } = await import('../backends/webgpu/webgpu.js')
    const { tileName, tiles } = await import('../backends/webgpu/tile.js')
    const { matrixTileName, matrixTiles } = await import('../backends/webgpu/matrix-product.js')
    const byThreads = tiles.map((tile) => ({ name: tileName(tile), open: () => openWebgpuBackend({ tile }) }))
    const byMatrices = (matrices: FactorType) =>
      matrixTiles.map((matrixTile) => ({
        name: matrixTileName(matrices, matrixTile),
        open: () => openWebgpuBackend({ matrices, matrixTile }),
      }))
    const { gpu } = await devices.webgpu.probe()
    const [f32, f16] = factorTypes.map((type) => (gpu?.matrices.includes(type) ? byMatrices(type) : []))
    return [...f32, ...byThreads, ...f16]
  }
  if (device === 'cpu') {
    const { openCpuBackend } = await import('../backends/cpu/cpu.js')
    const picked = await openCpuBackend()
    await picked.close()
    const engines = [...new Set([picked.matrixProducts, 'own kernel'] as const)]
    return engines.map((name) => ({ name, open: () => openCpuBackend({ matrixProducts: name }) }))
  }
  return [{ name: device, open: () => devices[device].open() }]
}
