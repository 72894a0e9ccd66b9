import { createRequire } from 'node:module'
import { exitCodes, UserError } from '../../errors.js'
import type { Probe } from '../backend.js'

/** What tfjs-core exports, and the packages that run it with it. */
export type Tfjs = typeof import('@tensorflow/tfjs-core')

export interface Loaded {
  tf: Tfjs
  /** What it runs on, for `doctor`. */
  runtime: string
}

const [onGpu, onProcessor] = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']

const howToInstall =
  `install ${onGpu} 4.22 (Linux x64 with CUDA 11.2 and cuDNN 8.1) or, for the processor, ${onProcessor} 4.22, ` +
  'beside longwave and with its install script, on Node 20 or 22: it does not run on 23 and later'

/**
 * The installed TensorFlow.js: on a GPU, else on the processor. `LONGWAVE_TFJS=javascript`: on tfjs-core's own backend in plain
 * JavaScript, which tests run on and nobody wants to wait for. Errors: UserError with exit code 69 where it is missing or does not run.
 */
export async function loadTfjs(): Promise<Loaded> {
  if (process.env.LONGWAVE_TFJS === 'javascript') return loadJavaScript()
  for (const name of [onGpu, onProcessor]) {
    try {
      return await loadNative(name)
    } catch (error) {
      if (isMissing(error, name)) continue
      throw new UserError(`${name} does not run here (${firstLine(error)}): ${howToInstall}`, exitCodes.unavailable)
    }
  }
  throw new UserError(`TensorFlow.js is not installed: ${howToInstall}`, exitCodes.unavailable)
}

/** Opens it as a model would. */
export async function probeTfjs(): Promise<Probe> {
  try {
    const { runtime } = await loadTfjs()
    return { works: true, detail: `${runtime}: only when asked for (-d tfjs)` }
  } catch (error) {
    return { works: false, detail: firstLine(error) }
  }
}

async function loadNative(name: string): Promise<Loaded> {
  const tf = load(name)
  await start(tf, 'tensorflow')
  const { isUsingGpuDevice } = tf.backend() as { isUsingGpuDevice?: boolean }
  // It would compute on the processor and not say so.
  if (name === onGpu && !isUsingGpuDevice) throw new Error('it finds no GPU, or not the libraries for it')
  // A product shows whether it computes at all, and whether in float32: TensorFloat-32 keeps 10 bits behind the point.
  const number = 1 + 2 ** -12
  const product = tf.tidy(() => tf.matMul(tf.fill([256, 256], number), tf.eye(256)).dataSync())
  if (product.some((x) => x !== number)) throw new Error('its products are not float32: set NVIDIA_TF32_OVERRIDE=0')
  return { tf, runtime: `${name} ${tf.version_core}` }
}

async function loadJavaScript(): Promise<Loaded> {
  const tf = load('@tensorflow/tfjs-core')
  load('@tensorflow/tfjs-backend-cpu')
  await start(tf, 'cpu')
  return { tf, runtime: `tfjs-core ${tf.version_core} in plain JavaScript` }
}

/** They are CommonJS. */
const load: (name: string) => Tfjs = createRequire(import.meta.url)

async function start(tf: Tfjs, backend: string): Promise<void> {
  tf.enableProdMode() // otherwise it prints advice
  if (!(await tf.setBackend(backend))) throw new Error(`its backend ${backend} does not start`)
}

const isMissing = (error: unknown, name: string) =>
  (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND' && firstLine(error) === `Cannot find module '${name}'`
const firstLine = (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n')[0].trim()
