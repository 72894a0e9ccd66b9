import type { Products } from './products.js'
import { CpuTensor, freeTensor, type Machine, newTensor, rowByRow, type SharedWeight } from './tensor.js'

/** What is brought in at a time: it stays in the caches until the product has read it. */
const blockBytes = 2 ** 22
/** ONNX Runtime adds up a product of up to 64 columns in another order. */
const minRows = 128

/**
 * Y [T, O] = X [T, I] W' + addend with W [O, I] in shared memory: a block of rows of W is brought in, used and dropped, and gives as many
 * columns of Y. The numbers are those of the product with all of W at once.
 */
export async function sharedProduct(
  machine: Machine,
  products: Products,
  a: CpuTensor,
  weight: SharedWeight,
  addend: CpuTensor | null,
): Promise<CpuTensor> {
  const { rows: O, cols: I } = weight
  const columns = (x: CpuTensor, from: number, to: number) =>
    new CpuTensor(x.at + from * 4, x.rows, to - from, x.step, false)
  const product = async (from: number, to: number) => {
    const b = weight.slice(from, to)
    try {
      return await products.multiply({ a, b, transA: false, transB: true, addend: addend && columns(addend, from, to) })
    } finally {
      freeTensor(machine, b)
    }
  }
  const blocks = Math.min(Math.ceil((O * I * 4) / blockBytes), Math.floor(O / minRows))
  if (blocks <= 1) return product(0, O)
  const y = newTensor(machine, a.rows, O)
  for (let i = 0; i < blocks; i++) {
    const [from, to] = [i, i + 1].map((edge) => Math.floor((edge * O) / blocks))
    const part = await product(from, to)
    machine.kernels.copyRows(rowByRow(part, columns(y, from, to)))
    freeTensor(machine, part)
  }
  return y
}
