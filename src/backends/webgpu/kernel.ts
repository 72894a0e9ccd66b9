import type { FactorType } from '../backend.js'
import type { Dtype } from '../weight.js'

/**
 * An operation in WGSL: the body of its entry point, and the names that it reads. Of these come the declarations:
 *
 *     x                  a tensor, as array<f32>; its element [r, c] is x[p.x_at + r * p.x_step + c]
 *     parts              a table of integers, as array<i32>
 *     p.rows, p.eps      counts (u32) and reals (f32)
 *     block, lane        number of the workgroup, of `p.blocks`, and of the thread in it
 */
export interface Kernel {
  /** Tells it from all others, those with other constants in their code included: each is compiled once. */
  name: string
  reads?: readonly string[]
  /** Types of those that are not all f32: halves come as array<u32>, of which `numberAt` reads one (halves.ts). */
  dtypes?: Readonly<Record<string, Dtype>>
  /** Read, too, where the body does. */
  writes: readonly string[]
  tables?: readonly string[]
  counts?: readonly string[]
  reals?: readonly string[]
  /** Threads of a workgroup. */
  threads: number
  /** Functions and workgroup variables. */
  library?: string
  /** It multiplies matrices of subgroups, with elements of this type; its body may also read `subgroup`, the number of one in its workgroup, and `subgroup_size`. */
  matrices?: FactorType
  body: string
}

/** What a kernel of 64 threads, one for each number of a tensor [rows, cols], begins with: number i is in row r and column c. */
export const cell = `
  let i = block * 64u + lane;
  if (i >= p.rows * p.cols) { return; }
  let r = i / p.cols;
  let c = i % p.cols;`

export interface Compiled {
  pipeline: GPUComputePipeline
  layout: GPUBindGroupLayout
}

/** Stage flag of compute shaders: GPUShaderStage is a global that only browsers have. */
const compute = 0x4

export function compile(device: GPUDevice, kernel: Kernel): Compiled {
  const types: GPUBufferBindingType[] = [
    'uniform',
    ...(kernel.reads ?? []).map(() => 'read-only-storage' as const),
    ...kernel.writes.map(() => 'storage' as const),
    ...(kernel.tables ?? []).map(() => 'read-only-storage' as const),
  ]
  const layout = device.createBindGroupLayout({
    entries: types.map((type, binding) => ({ binding, visibility: compute, buffer: { type } })),
  })
  const module = device.createShaderModule({ label: kernel.name, code: shader(kernel) })
  const pipeline = device.createComputePipeline({
    label: kernel.name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: 'main' },
  })
  return { pipeline, layout }
}

/** Names of the numbers in the order in which they are handed over. */
export function numberNames({ reads = [], writes, counts = [], reals = [] }: Kernel) {
  return { tensors: [...reads, ...writes], counts, reals }
}

function shader(kernel: Kernel): string {
  const { tensors, counts, reals } = numberNames(kernel)
  const members = [
    'blocks: u32',
    ...tensors.flatMap((name) => [`${name}_at: u32`, `${name}_step: u32`]),
    ...counts.map((name) => `${name}: u32`),
    ...reals.map((name) => `${name}: f32`),
  ]
  const elementOf = (name: string) => ((kernel.dtypes?.[name] ?? 'f32') === 'f32' ? 'f32' : 'u32')
  const bindings = [
    'var<uniform> p: Numbers;',
    ...(kernel.reads ?? []).map((name) => `var<storage, read> ${name}: array<${elementOf(name)}>;`),
    ...kernel.writes.map((name) => `var<storage, read_write> ${name}: array<f32>;`),
    ...(kernel.tables ?? []).map((name) => `var<storage, read> ${name}: array<i32>;`),
  ]
  return `
${kernel.matrices ? matrixExtensions(kernel.matrices) : ''}
struct Numbers { ${members.join(', ')} }
${bindings.map((binding, i) => `@group(0) @binding(${i}) ${binding}`).join('\n')}
${kernel.library ?? ''}
@compute @workgroup_size(${kernel.threads})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  ${kernel.matrices ? '@builtin(subgroup_id) subgroup: u32, @builtin(subgroup_size) subgroup_size: u32,' : ''}
) {
  let block = group.x + group.y * groups.x;
  if (block >= p.blocks) { return; }
${kernel.body}
}`
}

/** Off: where in memory a matrix lies depends on its subgroup, which to the compiler is not uniform. */
const matrixExtensions = (elements: FactorType) => `
enable subgroups, chromium_experimental_subgroup_matrix${elements === 'f16' ? ', f16' : ''};
diagnostic(off, chromium.subgroup_matrix_uniformity);`
