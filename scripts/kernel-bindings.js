// Writes the TypeScript side of a module of kernels from its source: an interface with the signatures, and functions
// that take the arguments by name and hand them on in order. A kernel has up to 37 numbers, and two of them swapped
// would overwrite other tensors unnoticed.

/** What the types of AssemblyScript are in TypeScript, with what they mean to a caller. */
const types = {
  void: null,
  i32: 'A whole number: a count, a switch (0 or 1), or bytes from one row to the next.',
  usize: 'An address in the memory, or a size, in bytes.',
  f32: 'A number that is rounded to float32.',
}

/**
 * A transform for asc (https://www.assemblyscript.org/compiler.html#transforms) that gives `write` the text of the
 * bindings of `entry`.
 */
export const kernelBindings = (entry, write) => ({
  afterInitialize(program) {
    const { exports } = program.filesByName.get(entry.replace(/\.ts$/, ''))
    write(bindings(entry, [...exports].map(kernelOf)))
  },
})

function kernelOf([name, { declaration, functionTypeNode }]) {
  const { start, source } = declaration.range
  const [comment = ''] = source.text.slice(0, start).match(/\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n$/) ?? []
  const params = functionTypeNode.parameters.map((param) => ({ name: param.name.text, type: typeOf(param.type) }))
  return { name, comment, params, returns: typeOf(functionTypeNode.returnType) }
}

function typeOf(node) {
  const type = node.name.identifier.text
  if (!(type in types)) throw new Error(`kernels with ${type} are not known to scripts/kernel-bindings.js`)
  return type
}

function bindings(entry, kernels) {
  const used = new Set(kernels.flatMap(({ params, returns }) => [...params.map(({ type }) => type), returns]))
  const aliases = [...used]
    .filter((type) => types[type])
    .map((type) => `/** ${types[type]} */\ntype ${type} = number\n`)
  const signatures = kernels.map(({ name, comment, params, returns }) => {
    const named = params.map((param) => `${param.name}: ${param.type}`)
    return `${comment.replace(/^ ?(?=.)/gm, (space) => `  ${space}`)}  ${name}(args: { ${named.join('; ')} }): ${returns}\n`
  })
  const functions = kernels.map(({ name, params }) => {
    const names = params.map((param) => param.name).join(', ')
    return `    ${name}: ({ ${names} }) => wasm.${name}(${names}),\n`
  })
  return `// Written by scripts/kernel-bindings.js from ${entry}.

${aliases.join('\n')}
/** Every kernel takes one object that names its arguments. */
export interface Kernels {
${signatures.join('\n')}}

/** The kernels of an instance of the module. */
export function bindKernels({ exports }: WebAssembly.Instance): Kernels {
  const wasm = exports as Record<string, (...args: number[]) => any>
  return {
${functions.join('')}  }
}
`
}
