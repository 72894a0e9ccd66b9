import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { exitCodes, UserError } from '../../errors.js'
import { native } from '../../runtime/native-calls.js'
import type { FactorType, GpuFacts } from '../backend.js'
import { featuresOf, matricesOf, type SubgroupMatrices } from './matrices.js'

/** A device that takes commands, and what went wrong with it: WebGPU tells of most errors later than the call that made them. */
export interface OpenDevice {
  device: GPUDevice
  /** Throws what went wrong since it was opened, if anything did. */
  check(): void
}

/** A GPU that is open. */
export interface Gpu extends OpenDevice {
  adapter: GPUAdapter
  facts: Omit<GpuFacts, 'matrices'>
  /** Those that it says it multiplies. */
  matrices: SubgroupMatrices[]
}

/** Its own types stay out: it is an optional dependency, and the build must not need it. */
interface Dawn {
  create(options: string[]): GPU
}

const packageName: string = 'webgpu'

/** Without the second, Dawn hides float16 on NVIDIA cards: some of its rarer functions are inexact there, and none of those is used. */
const options = ['enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia']

/** By what they multiply matrices of. */
const opened = new Map<FactorType | undefined, Promise<Gpu>>()

/**
 * The GPU of this thread, opened once, and again after it failed; for matrices of subgroups by itself, as that takes features which are
 * experiments. Errors: UserError with exit code 69 that says what to install, or that it has no such matrices.
 */
export function openGpu(matrices?: FactorType): Promise<Gpu> {
  const known = opened.get(matrices)
  if (known) return known
  const opening = native(() => open(matrices))
  opened.set(matrices, opening)
  return opening
}

/** What every adapter comes from. The process dies if it is collected while a device lives, so it is never let go. */
let entrance: GPU | null = null

async function open(factor?: FactorType): Promise<Gpu> {
  entrance ??= await enter()
  const adapter = await entrance.requestAdapter({ powerPreference: 'high-performance' })
  if (!adapter) throw new UserError(howToGetAnAdapter(), exitCodes.unavailable)
  const facts = factsOf(adapter)
  const matrices = matricesOf(adapter)
  if (factor && !matrices.some((those) => those.factor === factor))
    throw new UserError(`${facts.name} has no matrices of ${factor}`, exitCodes.unavailable)
  const { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupStorageSize } = adapter.limits
  const device = await adapter.requestDevice({
    requiredLimits: { maxStorageBufferBindingSize, maxBufferSize, ...(factor && { maxComputeWorkgroupStorageSize }) },
    requiredFeatures: factor && (featuresOf[factor] as readonly GPUFeatureName[]),
  })
  let failure: UserError | null = null
  const fail = (message: string) => {
    failure ??= new UserError(message, exitCodes.unavailable)
    opened.delete(factor)
  }
  device.lost.then(({ message }) => fail(`the GPU was lost: ${firstLine(message)}`))
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault() // it would be printed
    const { error } = event
    if (error.constructor.name === 'GPUOutOfMemoryError')
      fail('the GPU is out of memory: compute fewer rows at a time (--chunk)')
    else fail(`the GPU refused its work: ${firstLine(error.message)}`)
  })
  const check = () => {
    if (failure) throw failure
  }
  return { device, adapter, facts, matrices, check }
}

/** Kernels count bytes and numbers in 32 bits: an offset into this much is safe in signed ones, too. */
const mostTensorBytes = 2 ** 31

/** Names of drivers that play a GPU. */
const playedBy = /swiftshader|llvmpipe|lavapipe|basic render/i

export function factsOf({ info, limits }: Pick<GPUAdapter, 'info' | 'limits'>): Gpu['facts'] {
  const { maxStorageBufferBindingSize, maxBufferSize } = limits
  return {
    // The description is that of the driver. Dawn puts a hyphen for each bracket of a device's name, also for the last.
    name: (info.device || info.description || info.vendor || 'a GPU').replace(/-$/, ''),
    software: info.isFallbackAdapter || playedBy.test(`${info.device} ${info.description}`),
    tensorBytes: Math.min(maxStorageBufferBindingSize, maxBufferSize, mostTensorBytes),
  }
}

async function enter(): Promise<GPU> {
  // The Vulkan loader of Linux complains on stderr where it is not set.
  process.env.XDG_RUNTIME_DIR ??= tmpdir()
  try {
    const { create }: Dawn = await import(packageName)
    return create(options)
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND'
    const problem = missing ? 'is not installed' : `does not load here (${firstLine((error as Error).message)})`
    throw new UserError(
      `the device webgpu needs the npm package webgpu, which ${problem}; to have it, install longwave again with npm's --include=optional`,
      exitCodes.unavailable,
    )
  }
}

function howToGetAnAdapter(): string {
  const nothing = 'the device webgpu found no GPU'
  if (process.platform !== 'linux') return `${nothing}: install or update the driver of your graphics card`
  if (existsSync('/dev/nvidiactl'))
    return `${nothing}: there is an NVIDIA card without its Vulkan driver; in a container, install libvulkan1 and set NVIDIA_DRIVER_CAPABILITIES=all`
  return `${nothing}: install the Vulkan loader and the Vulkan driver of your card (Debian: libvulkan1 mesa-vulkan-drivers)`
}

const firstLine = (text: string) => text.split('\n')[0]
