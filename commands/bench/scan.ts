import { BenchCommand } from '../../src/bench/command.js'
import { integer, integers, rounds, shared } from '../../src/shell/flags.js'

export default class BenchScan extends BenchCommand {
  static override description = [
    'Measure the selective scan of a device, next to what bounds it there: a plain copy, and exponentials alone; its matrix product by',
    'each kernel that it has; and whole models, next to the device cpu.',
  ].join(' ')
  static override flags = {
    device: shared.device,
    rows: integers({
      min: 1,
      max: 2 ** 24,
      description: 'rows of a sequence; several with commas [default: 4096, and on a GPU 65536 and 1048576]',
    }),
    batch: integers({
      min: 1,
      max: 4096,
      description: 'sequences scanned side by side; several with commas [default: 1,64]',
    }),
    tokens: integer({
      min: 0,
      max: 1e9,
      default: 4_000_000,
      description: 'bases that a model reads, at the most; 0: no models',
    }),
    rounds: rounds(3),
    json: shared.json,
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(BenchScan)
    const { benchScan } = await import('../../src/bench/scan.js')
    const { benchProducts } = await import('../../src/bench/products.js')
    const { benchEndToEnd } = await import('../../src/bench/end-to-end.js')
    const { pickDevice } = await import('../../src/backends/registry.js')
    const { device, why } = await pickDevice(flags.device)
    if (why) this.note(`device ${device} (${why})`)
    const { rounds } = flags
    const rows = Math.min(4096, ...(flags.rows ?? []))
    await this.report({ ...flags, device }, async (onRound) => ({
      scans: await benchScan({ ...flags, device, onRound }),
      products: await benchProducts({ device, rounds, rows, onRound }),
      models: await benchEndToEnd({ ...flags, device, onRound }),
    }))
  }
}
