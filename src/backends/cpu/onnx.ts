/**
 * The bytes of an ONNX model with one Gemm: Y = A B or, with `addend`, A B + C; A and B are transposed on request. Every
 * shape is free and the weights are inputs, so one session serves all layers and the weights exist once.
 * Field numbers are those of onnx.proto (IR version 8, opset 17).
 */
export function gemmModel(options: { transA: boolean; transB: boolean; addend: boolean }): Uint8Array {
  const inputs = options.addend ? ['A', 'B', 'C'] : ['A', 'B']
  const node = [
    ...inputs.map((name) => text(1, name)),
    text(2, 'Y'),
    text(4, 'Gemm'),
    field(5, intAttribute('transA', options.transA ? 1 : 0)),
    field(5, intAttribute('transB', options.transB ? 1 : 0)),
  ]
  const graph = [
    field(1, node),
    text(2, 'gemm'),
    ...inputs.map((name) => field(11, matrix(name))),
    field(12, matrix('Y')),
  ]
  return Uint8Array.from([integer(1, 8), field(8, [text(1, ''), integer(2, 17)]), field(7, graph)].flat())
}

const intAttribute = (name: string, value: number) => [text(1, name), integer(3, value), integer(20, 2)]

/** ValueInfoProto: a float tensor with two dimensions of its own names. */
function matrix(name: string): number[][] {
  const dimension = (suffix: string) => field(1, [text(2, `${name}_${suffix}`)])
  const tensorType = [integer(1, 1), field(2, [dimension('rows'), dimension('cols')])]
  return [text(1, name), field(2, [field(1, tensorType)])]
}

function varint(value: number): number[] {
  const bytes: number[] = []
  while (value > 127) {
    bytes.push((value & 127) | 128)
    value >>>= 7
  }
  return [...bytes, value]
}

export const integer = (number: number, value: number) => [...varint(number << 3), ...varint(value)]

export function field(number: number, parts: number[][]): number[] {
  const content = parts.flat()
  return [...varint((number << 3) | 2), ...varint(content.length), ...content]
}

export const text = (number: number, value: string) => field(number, [[...Buffer.from(value)]])
