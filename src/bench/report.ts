import { cpus } from 'node:os'
import { openCpuBackend } from '../backends/cpu/cpu.js'
import { type Device, defaultDevice, devices } from '../backends/registry.js'
import { columns } from '../output/columns.js'
import { availableThreads } from '../runtime/threads.js'

type Cell = string | number | boolean | null

/** A row for each case; a column for each key. */
export type Rows = object[]

/** Called after each round; `part`: what was measured, where that is not all there is. */
export type OnRound = (done: number, part?: string) => void

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
  /** What was measured, where that is no processor's cores: its name, and the driver's. */
  device?: string
}

async function describeMachine(device: Device = defaultDevice): Promise<BenchMachine> {
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
    ...(device !== 'cpu' && { device: `${device}: ${(await devices[device].probe()).detail}` }),
  }
}

interface Report {
  bench: string
  rounds: number
  /** Under the names that they have in JSON. */
  tables: Record<string, Rows>
  /** What was measured; absent: the machine's processor. */
  device?: Device
}

/** The result of a benchmark as text: a line on the machine and the tables, or one JSON object. */
export async function benchReport({ bench, rounds, tables, device: wanted }: Report, json: boolean): Promise<string> {
  const machine = await describeMachine(wanted)
  if (json) return `${JSON.stringify({ bench, rounds, machine, ...tables }, null, 2)}\n`
  const { cpu, threads, cores, node, platform, kernels, matrix_products, device } = machine
  const head = [
    `${cpu}, ${threads} of ${cores} cores, Node ${node.slice(1)} on ${platform}`,
    `${kernels} SIMD kernels, matrix products by ${matrix_products}`,
    ...(device ? [device] : []),
    `median of ${rounds} rounds`,
  ]
  const filled = Object.values(tables).filter((rows) => rows.length > 0)
  return [`# ${head.join('; ')}\n`, ...filled.map(tableOf)].join('\n')
}

function tableOf(rows: Rows): string {
  const headings = Object.keys(rows[0]).map((key) => key.replaceAll('_', ' '))
  return columns([headings, ...rows.map((row) => (Object.values(row) as Cell[]).map(cell))])
}

/** Three digits are what such a measurement is good for. */
function cell(value: Cell): string | number {
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value !== 'number') return value ?? '-'
  return Number.isInteger(value) ? value : Number(value.toPrecision(3))
}
