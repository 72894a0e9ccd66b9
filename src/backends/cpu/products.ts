import { discard } from '../../runtime/discard.js'
import { native } from '../../runtime/native-calls.js'
import { gemmModel } from './onnx.js'
import { loadOnnxRuntime, type OnnxRuntime, type OnnxSession, type OnnxTensor } from './onnxruntime.js'
import { at, type CpuTensor, freeTensor, type Machine, newTensor, rowByRow, withScratch } from './tensor.js'

export type ProductEngine = 'onnxruntime' | 'own kernel'

/**
 * Numbers of the result of one run of ONNX Runtime, 2 MiB: it goes over all rows of A once for every 128 columns, and
 * larger parts leave the caches meanwhile.
 */
const runSize = 2 ** 19

/** Up to this inner dimension (dt_proj) the own kernel is faster than the set-up of ONNX Runtime. */
const narrow = 16

const sessionOptions = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  // A pattern would be kept for every number of rows ever seen.
  enableMemPattern: false,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
}

export interface ProductArgs {
  a: CpuTensor
  b: CpuTensor
  transA: boolean
  transB: boolean
  /** [M, N] or one row for all, [1, N]; added. It may be `into`. */
  addend: CpuTensor | null
  /** [M, N], contiguous, M > 1: where the result goes; otherwise into a new tensor. */
  into?: CpuTensor
}

/**
 * Matrix products. Which engine does a product depends on its inner and outer width alone, never on the number of rows,
 * and ONNX Runtime never sees a single row or column: it has other code for those, with other last bits.
 */
export class Products {
  private readonly sessions = new Map<string, Promise<OnnxSession>>()

  private constructor(
    private readonly machine: Machine,
    private readonly ort: OnnxRuntime | null,
  ) {}

  /** With ONNX Runtime where it is installed and has a binary for this platform, unless asked otherwise. */
  static async open(machine: Machine, wanted?: ProductEngine): Promise<Products> {
    if (wanted === 'own kernel') return new Products(machine, null)
    try {
      return new Products(machine, await native(loadOnnxRuntime))
    } catch (error) {
      if (wanted) throw error
      return new Products(machine, null)
    }
  }

  get engine(): ProductEngine {
    return this.ort ? 'onnxruntime' : 'own kernel'
  }

  /** Y [M, N] = op(A) [M, K] op(B) [K, N] + addend, contiguous. */
  async multiply(args: ProductArgs): Promise<CpuTensor> {
    const { a, b, transA, transB } = args
    const M = transA ? a.cols : a.rows
    const K = transA ? a.rows : a.cols
    const N = transB ? b.rows : b.cols
    if (K !== (transB ? b.cols : b.rows)) {
      throw new RangeError(`a product of [${a.rows}, ${a.cols}] and [${b.rows}, ${b.cols}]`)
    }
    if (!this.ort || N === 1 || (K <= narrow && !transA)) return this.own(args, M, K, N)
    return this.onnx(this.ort, args, M, N)
  }

  async close(): Promise<void> {
    for (const opened of this.sessions.values()) {
      const session = await opened
      await native(() => session.release())
    }
    this.sessions.clear()
  }

  private own({ a, b, transA, transB, addend, into }: ProductArgs, M: number, K: number, N: number): CpuTensor {
    const { kernels } = this.machine
    const y = into ?? newTensor(this.machine, M, N)
    const panelBytes = Math.ceil(N / 8) * K * 32
    withScratch(this.machine, panelBytes + 128, (panels) => {
      kernels.packPanels({ K, N, b: b.at, kStep: transB ? 4 : b.step, nStep: transB ? b.step : 4, panels })
      kernels.multiply({
        M,
        N,
        K,
        a: a.at,
        mStep: transA ? 4 : a.step,
        kStep: transA ? a.step : 4,
        panels,
        c: at(addend),
        cStep: addend && addend.rows > 1 ? addend.step : 0,
        y: y.at,
        yStep: y.step,
        scratch: panels + panelBytes,
      })
    })
    return y
  }

  private async onnx(ort: OnnxRuntime, args: ProductArgs, M: number, N: number): Promise<CpuTensor> {
    const { transA, transB } = args
    const extra = M === 1 ? 1 : 0
    const copies: CpuTensor[] = []
    const plain = (x: CpuTensor, rows: number, cols: number) => {
      if (x.contiguous && rows === x.rows && cols === x.cols) return x
      const copy = this.copyOf(x, rows, cols)
      copies.push(copy)
      return copy
    }
    const a = plain(args.a, args.a.rows + (transA ? 0 : extra), args.a.cols + (transA ? extra : 0))
    const b = plain(args.b, args.b.rows, args.b.cols)
    const c = args.addend && plain(args.addend, args.addend.rows, args.addend.cols)
    const y = args.into ?? newTensor(this.machine, M, N, extra)
    try {
      const session = await this.session(ort, transA, transB, c !== null)
      /** Rows from .. from + rows - 1, or the whole tensor. */
      const tensor = (x: CpuTensor, from = 0, rows = x.rows): OnnxTensor =>
        new ort.Tensor(
          'float32',
          new Float32Array(this.machine.memory.wasm.buffer, x.at + from * x.step, rows * x.cols),
          [rows, x.cols],
        )
      // Runs of nearly the same height, none of a single row.
      const height = M + extra
      const runs = transA ? 1 : Math.max(1, Math.min(Math.ceil((height * N) / runSize), height >> 1))
      for (let i = 0; i < runs; i++) {
        const from = Math.floor((i * height) / runs)
        const rows = Math.floor(((i + 1) * height) / runs) - from
        await this.inPlace(c !== y, async () => {
          const feeds: Record<string, OnnxTensor> = { A: transA ? tensor(a) : tensor(a, from, rows), B: tensor(b) }
          if (c) feeds.C = c.rows === 1 ? tensor(c) : tensor(c, from, rows)
          const results = await native(() => session.run(feeds, { Y: tensor(y, from, rows) }))
          // The binding copies every result into an array of its own, besides the memory that it was given for it.
          const { buffer } = results.Y.data as Float32Array<ArrayBuffer>
          if (buffer !== this.machine.memory.wasm.buffer) discard(buffer)
        })
      }
      return y
    } catch (error) {
      if (y !== args.into) freeTensor(this.machine, y)
      throw error
    } finally {
      for (const copy of copies) freeTensor(this.machine, copy)
    }
  }

  /**
   * Runs again when the memory has grown meanwhile (another call on the same backend), which detaches the views in use. What
   * is added in place cannot run twice, so it must be alone.
   */
  private async inPlace(repeatable: boolean, run: () => Promise<void>): Promise<void> {
    for (;;) {
      const before = this.machine.memory.wasm.buffer
      try {
        await run()
        if (this.machine.memory.wasm.buffer === before) return
      } catch (error) {
        if (this.machine.memory.wasm.buffer === before) throw error
      }
      if (!repeatable) throw new Error('the memory has grown while a product was added in place')
    }
  }

  /** A contiguous copy, with zeros in rows and columns that `x` does not have. */
  private copyOf(x: CpuTensor, rows: number, cols: number): CpuTensor {
    const copy = newTensor(this.machine, rows, cols)
    if (rows !== x.rows || cols !== x.cols) this.machine.kernels.clear({ at: copy.at, bytes: rows * cols * 4 })
    this.machine.kernels.copyRows(rowByRow(x, copy))
    return copy
  }

  private session(ort: OnnxRuntime, transA: boolean, transB: boolean, addend: boolean): Promise<OnnxSession> {
    const key = `${transA} ${transB} ${addend}`
    let session = this.sessions.get(key)
    if (!session) {
      const model = gemmModel({ transA, transB, addend })
      session = native(() => ort.InferenceSession.create(model, sessionOptions))
      this.sessions.set(key, session)
    }
    return session
  }
}
