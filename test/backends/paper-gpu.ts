import { usages } from '../../src/backends/webgpu/buffers.js'
import type { OpenDevice } from '../../src/backends/webgpu/dawn.js'
import type { Kernel } from '../../src/backends/webgpu/kernel.js'
import { Machine, type Operands } from '../../src/backends/webgpu/machine.js'
import type { GpuTensor } from '../../src/backends/webgpu/tensor.js'
import { type Dtype, dtypeBytes } from '../../src/backends/weight.js'

/** What a device was asked for. */
export interface Asked {
  /** Bytes of the largest buffer. */
  largest: number
  dispatches: number
}

const nothing = () => ({})
const isCount = (n: number) => Number.isInteger(n) && n >= 0 && n < 2 ** 32

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

/**
 * A device that takes every command, checks what WebGPU would check of its size, and computes nothing: what is read back is zero. So the code
 * that drives a GPU runs on sequences and widths that no processor could play.
 */
function paperDevice(tensorBytes: number, asked: Asked): OpenDevice {
  const buffer = ({ size, usage }: { size: number; usage: number }) => {
    // Of a page of tables only a part is bound.
    const whole = (usage & usages.uniform) === 0
    if (whole) check(size <= tensorBytes, `a buffer of ${size} bytes`)
    if (whole) asked.largest = Math.max(asked.largest, size)
    return {
      size,
      mapAsync: async () => {},
      getMappedRange: (_: number, bytes: number) => new ArrayBuffer(bytes),
      unmap: nothing,
      destroy: nothing,
    }
  }
  const pass = {
    setPipeline: nothing,
    setBindGroup: nothing,
    dispatchWorkgroups: (across: number, down: number) => {
      asked.dispatches++
      check(Math.max(across, down) <= 65535, `${across} x ${down} workgroups`)
    },
    end: nothing,
  }
  const device = {
    createBuffer: buffer,
    createBindGroupLayout: nothing,
    createPipelineLayout: nothing,
    createShaderModule: nothing,
    createComputePipeline: nothing,
    createBindGroup: nothing,
    createCommandEncoder: () => ({
      beginComputePass: () => pass,
      copyBufferToBuffer: nothing,
      clearBuffer: nothing,
      finish: nothing,
    }),
    queue: { writeBuffer: nothing, submit: nothing, onSubmittedWorkDone: async () => {} },
  }
  return { device: device as unknown as GPUDevice, check: () => {} }
}

/** Holds the arithmetic of kernels against 32 bits: all that a kernel computes is an index into one of its tensors, or a number of threads. */
export class PaperMachine extends Machine {
  readonly asked: Asked
  /** Bytes of the tensors that live, and the most there were. */
  living = 0
  peak = 0
  /** How often something was read back, and bytes of it. */
  reads = 0
  bytesRead = 0
  /** Of the command that had the most. */
  threads = 0

  constructor(tensorBytes: number) {
    const asked = { largest: 0, dispatches: 0 }
    super(paperDevice(tensorBytes, asked), tensorBytes)
    this.asked = asked
  }

  override allocate(rows: number, cols: number, dtype: Dtype = 'f32'): GpuTensor {
    this.living += dtypeBytes[dtype] * rows * cols
    this.peak = Math.max(this.peak, this.living)
    return super.allocate(rows, cols, dtype)
  }

  override release(x: GpuTensor): void {
    if (x.owner) this.living -= dtypeBytes[x.dtype] * x.rows * x.cols
    super.release(x)
  }

  override read(x: GpuTensor): Promise<Float32Array> {
    this.reads++
    this.bytesRead += 4 * x.rows * x.cols
    return super.read(x)
  }

  override run(kernel: Kernel, operands: Operands): void {
    const { tensors, tables = {}, numbers = {}, blocks } = operands
    for (const name of [...(kernel.reads ?? []), ...kernel.writes]) {
      const { at, rows, step, cols, block, dtype } = tensors[name]
      check(dtype === (kernel.dtypes?.[name] ?? 'f32'), `${kernel.name}: ${name} of ${dtype}`)
      const end = rows * cols === 0 ? at : at + (rows - 1) * step + cols
      const within = dtypeBytes[dtype] * end <= Math.min(block.bytes, this.tensorBytes)
      check(isCount(at) && within, `${kernel.name}: ${name} from ${at} to ${end} of ${block.bytes} bytes`)
    }
    for (const name of kernel.counts ?? []) {
      check(isCount(numbers[name]), `${kernel.name}: ${name} is ${numbers[name]}`)
    }
    for (const { byteLength } of Object.values(tables))
      check(byteLength <= this.tensorBytes, `${kernel.name}: a table of ${byteLength} bytes`)
    check(isCount(blocks * kernel.threads), `${kernel.name}: ${blocks} workgroups`)
    this.threads = Math.max(this.threads, blocks * kernel.threads)
    super.run(kernel, operands)
  }
}
