import { native, nativeNow } from '../../runtime/native-calls.js'
import type { DeviceUse } from '../backend.js'
import { type Dtype, dtypeBytes } from '../weight.js'
import { Arena } from './arena.js'
import { type Block, BufferPool, usages } from './buffers.js'
import type { OpenDevice } from './dawn.js'
import { type Compiled, cell, compile, type Kernel, numberNames } from './kernel.js'
import { Pace } from './pace.js'
import { GpuTensor } from './tensor.js'

/** What a kernel is run on. */
export interface Operands {
  tensors: Record<string, GpuTensor>
  tables?: Record<string, Int32Array>
  numbers?: Record<string, number>
  /** Workgroups. */
  blocks: number
}

/** Workgroups in one dimension, on every GPU. */
const mostAcross = 65535
const mapRead = 0x1
/** Of a buffer that an operation makes for itself. */
const mostRoom = 256 * 2 ** 20

/** Pipelines of each device: they outlive the backends that run on it. */
const compiled = new WeakMap<GPUDevice, Map<string, Compiled>>()

/** Puts commands for the GPU in a row, and sends them when something is read back or many are waiting: nothing else waits. */
export class Machine {
  private readonly storage: BufferPool
  private readonly readback: BufferPool
  private readonly arena: Arena
  private encoder: GPUCommandEncoder | null = null
  private pass: GPUComputePassEncoder | null = null
  private queued = 0
  private submits = 0
  private readonly ahead = new Pace()

  /** Programs that were compiled for it: those it found compiled are not counted. */
  private pipelines = 0
  private compileSeconds = 0

  constructor(
    private readonly gpu: OpenDevice,
    /** Of the largest tensor. */
    readonly tensorBytes: number,
  ) {
    this.storage = new BufferPool(gpu, usages.storage | usages.copySource | usages.copyTarget, tensorBytes)
    this.readback = new BufferPool(gpu, usages.mapRead | usages.copyTarget, tensorBytes)
    this.arena = new Arena(gpu)
  }

  /** Bytes of the largest tensor that an operation makes for itself, if it can do without a larger one. */
  get roomBytes(): number {
    return Math.min(mostRoom, this.tensorBytes / 2)
  }

  use(): DeviceUse {
    return {
      bytes: this.storage.bytes + this.readback.bytes,
      pipelines: this.pipelines,
      seconds: this.compileSeconds,
    }
  }

  /** A new tensor, contents undefined. */
  allocate(rows: number, cols: number, dtype: Dtype = 'f32'): GpuTensor {
    const block = nativeNow(() => this.storage.take(rows * cols * dtypeBytes[dtype]))
    return new GpuTensor(block, 0, rows, cols, cols, true, dtype)
  }

  release(x: GpuTensor): void {
    if (!x.owner) return
    x.owner = false
    this.storage.give(x.block)
  }

  /** Runs a kernel once the GPU gets to it. A tensor that lies in a buffer that is written is read from a copy of it. */
  run(kernel: Kernel, { tensors, tables = {}, numbers = {}, blocks }: Operands): void {
    if (blocks === 0) return
    const written = new Set(kernel.writes.map((name) => tensors[name].block))
    const copies: GpuTensor[] = []
    const operands = { ...tensors }
    for (const name of kernel.reads ?? []) {
      if (!written.has(tensors[name].block)) continue
      operands[name] = this.copied(tensors[name])
      copies.push(operands[name])
    }
    nativeNow(() => this.dispatch(kernel, operands, tables, numbers, blocks))
    for (const copy of copies) this.release(copy)
  }

  /** A new tensor of the same numbers. */
  copied(x: GpuTensor): GpuTensor {
    const y = this.allocate(x.rows, x.cols)
    this.copy(x, y)
    return y
  }

  /** y = x, in another buffer. */
  copy(x: GpuTensor, y: GpuTensor): void {
    this.run(copyRows, {
      tensors: { x, y },
      numbers: { rows: x.rows, cols: x.cols },
      blocks: Math.ceil((x.rows * x.cols) / copyRows.threads),
    })
  }

  /** Makes a tensor of its own block all zeros. */
  clear(x: GpuTensor): void {
    nativeNow(() => {
      this.endPass()
      this.touch(x.block)
      this.commands().clearBuffer(x.block.buffer)
    })
  }

  /** Copies numbers into a contiguous tensor, from its number `from` on. Of halves it takes an even number. */
  write(x: GpuTensor, data: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>, from = 0): void {
    nativeNow(() => {
      // The GPU gets them at once, before commands that wait here and read what was there.
      if (x.block.lastUsed === this.submits) this.flush()
      this.gpu.device.queue.writeBuffer(x.block.buffer, (x.at + from) * dtypeBytes[x.dtype], data)
    })
  }

  /** Waits while the GPU is far behind. */
  async pace(): Promise<void> {
    await this.ahead.wait()
    this.gpu.check()
  }

  async read(x: GpuTensor): Promise<Float32Array> {
    const bytes = x.rows * x.cols * 4
    if (bytes === 0) return new Float32Array()
    const rows = x.contiguous ? x : this.copied(x)
    const staging = nativeNow(() => {
      const block = this.readback.take(bytes)
      this.endPass()
      this.touch(rows.block)
      this.commands().copyBufferToBuffer(rows.block.buffer, rows.at * 4, block.buffer, 0, bytes)
      this.flush()
      return block
    })
    if (rows !== x) this.release(rows)
    try {
      await native(() => staging.buffer.mapAsync(mapRead, 0, bytes))
    } catch (error) {
      this.gpu.check()
      throw error
    }
    this.gpu.check()
    this.ahead.caughtUp()
    return nativeNow(() => {
      const numbers = new Float32Array(staging.buffer.getMappedRange(0, bytes).slice(0))
      staging.buffer.unmap()
      this.readback.give(staging)
      return numbers
    })
  }

  close(): void {
    nativeNow(() => {
      this.flush()
      this.storage.close()
      this.readback.close()
      this.arena.close()
    })
  }

  private dispatch(
    kernel: Kernel,
    tensors: Record<string, GpuTensor>,
    tables: Record<string, Int32Array>,
    numbers: Record<string, number>,
    blocks: number,
  ): void {
    const { pipeline, layout } = this.compiled(kernel)
    const names = numberNames(kernel)
    const counts = [
      blocks,
      ...names.tensors.flatMap((name) => [tensors[name].at, tensors[name].step]),
      ...names.counts.map((name) => numbers[name]),
    ]
    const reals = names.reals.map((name) => numbers[name])
    const all = new Uint32Array(counts.length + reals.length)
    all.set(counts)
    new Float32Array(all.buffer).set(reals, counts.length)
    const resources = [
      this.arena.add(all),
      ...names.tensors.map((name) => ({ buffer: tensors[name].block.buffer })),
      ...(kernel.tables ?? []).map((name) => this.arena.add(tables[name])),
    ]
    for (const name of names.tensors) this.touch(tensors[name].block)
    const group = this.gpu.device.createBindGroup({
      layout,
      entries: resources.map((resource, binding) => ({ binding, resource })),
    })
    this.pass ??= this.commands().beginComputePass()
    this.pass.setPipeline(pipeline)
    this.pass.setBindGroup(0, group)
    const across = Math.min(blocks, mostAcross)
    this.pass.dispatchWorkgroups(across, Math.ceil(blocks / across))
    if (++this.queued >= this.ahead.atOnce) this.flush()
  }

  private compiled(kernel: Kernel): Compiled {
    const { device } = this.gpu
    const known = compiled.get(device) ?? new Map<string, Compiled>()
    compiled.set(device, known)
    const found = known.get(kernel.name)
    if (found) return found
    const began = performance.now()
    const fresh = compile(device, kernel)
    this.compileSeconds += (performance.now() - began) / 1000
    this.pipelines++
    known.set(kernel.name, fresh)
    return fresh
  }

  private touch(block: Block): void {
    block.lastUsed = this.submits
  }

  private commands(): GPUCommandEncoder {
    this.encoder ??= this.gpu.device.createCommandEncoder()
    return this.encoder
  }

  private endPass(): void {
    this.pass?.end()
    this.pass = null
  }

  private flush(): void {
    this.endPass()
    if (!this.encoder) return
    this.arena.send()
    this.gpu.device.queue.submit([this.encoder.finish()])
    this.arena.clear()
    this.ahead.submitted(
      this.queued,
      native(() => this.gpu.device.queue.onSubmittedWorkDone()),
    )
    this.encoder = null
    this.queued = 0
    this.submits++
  }
}

const copyRows: Kernel = {
  name: 'copyRows',
  reads: ['x'],
  writes: ['y'],
  counts: ['rows', 'cols'],
  threads: 64,
  body: `${cell}
  y[p.y_at + r * p.y_step + c] = x[p.x_at + r * p.x_step + c];`,
}
