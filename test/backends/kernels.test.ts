import { expect, it } from 'vitest'
import { bindKernels } from '../../src/backends/cpu/kernels.generated.js'
import { bindKernels as bindResampling } from '../../src/input/audio/kernels.generated.js'
import { readWasm } from '../../src/runtime/wasm.js'

/** For every function of a module, how many arguments it takes. */
function exported(name: string): Record<string, number> {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 })
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readWasm(name)), { env: { memory } })
  const functions = Object.entries(exports).filter(([, one]) => typeof one === 'function')
  return Object.fromEntries(functions.map(([kernel, one]) => [kernel, (one as () => void).length]))
}

/** For every kernel, what its binding hands on when each argument is its own name. */
function handedOn(bind: (instance: WebAssembly.Instance) => object): Record<string, string[]> {
  const exports = new Proxy(
    {},
    {
      get:
        () =>
        (...args: string[]) =>
          args,
    },
  )
  const names = new Proxy({}, { get: (_, name) => name })
  const kernels = Object.entries(bind({ exports } as WebAssembly.Instance))
  return Object.fromEntries(kernels.map(([kernel, call]) => [kernel, call(names)]))
}

it.each([
  ['plain', bindKernels],
  ['polyphase', bindResampling],
] as const)('the bindings are those of the module %s', (name, bind) => {
  const lengths = Object.entries(handedOn(bind)).map(([kernel, args]) => [kernel, new Set(args).size])
  expect(Object.fromEntries(lengths)).toEqual(exported(name))
})

it('hands the arguments on in the order of the source', () => {
  const { packPanels, copyRows } = handedOn(bindKernels)
  expect(packPanels).toEqual(['K', 'N', 'b', 'kStep', 'nStep', 'panels'])
  expect(copyRows).toEqual(['rows', 'cols', 'x', 'xStep', 'y', 'yStep'])
})
