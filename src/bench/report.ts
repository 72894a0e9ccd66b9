import { cpus } from 'node:os'
import { openCpuBackend } from '../backends/cpu/cpu.js'
import { columns } from '../output/columns.js'
import { availableThreads } from '../runtime/threads.js'

type Cell = string | number | null

/** The machine that figures belong to. */
export interface BenchMachine {
  cpu: string
  cores: number
  /** Cores that may be used. */
  threads: number
  node: string
  platform: string
  kernels: string
  matrix_products: string
}

async function describeMachine(): Promise<BenchMachine> {
  const backend = await openCpuBackend()
  const { kernels, matrixProducts } = backend
  await backend.close()
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    threads: availableThreads(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    kernels,
    matrix_products: matrixProducts,
  }
}

/** The result of a benchmark as text: a line on the machine and a table with a column per key, or one JSON object. */
export async function benchReport<Row extends object>(
  bench: string,
  rounds: number,
  rows: Row[],
  json: boolean,
): Promise<string> {
  const machine = await describeMachine()
  if (json) return `${JSON.stringify({ bench, rounds, machine, rows }, null, 2)}\n`
  const { cpu, threads, cores, node, platform, kernels, matrix_products } = machine
  const head = [
    `${cpu}, ${threads} of ${cores} cores, Node ${node.slice(1)} on ${platform}`,
    `${kernels} SIMD kernels, matrix products by ${matrix_products}`,
    `median of ${rounds} rounds`,
  ]
  const headings = Object.keys(rows[0]).map((key) => key.replaceAll('_', ' '))
  const cells = rows.map((row) => (Object.values(row) as Cell[]).map(cell))
  return `# ${head.join('; ')}\n\n${columns([headings, ...cells])}`
}

/** Three digits are what such a measurement is good for. */
function cell(value: Cell): string | number {
  if (typeof value !== 'number') return value ?? '-'
  return Number.isInteger(value) ? value : Number(value.toPrecision(3))
}
