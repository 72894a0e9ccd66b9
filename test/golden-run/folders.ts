import { access, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { gpu } from '../backends/has-gpu.js'
import { checkClassifier } from './classifier.js'
import { readConfig } from './expected.js'
import { checkFlowState } from './flowstate.js'
import { checkKernel } from './kernel.js'
import { checkMamba3 } from './mamba3.js'
import { checkMixtureOfMamba } from './mixture-of-mamba.js'
import { checkModel } from './model.js'
import { checkRetention } from './retention.js'
import { checkS4block, checkS4d } from './s4d.js'
import { checkS5 } from './s5.js'
import { checkSsd } from './ssd.js'
import { checkTokenizer } from './tokenizer.js'

export type BackendName = 'reference' | 'cpu' | 'webgpu' | 'tfjs'

/** One comparison: the worst difference as a share of the tolerance. Above 1, or not a number, is a miss. */
export interface Comparison {
  what: string
  share: number
}

/** Cases of more than `longest` tokens are left out. */
export type Check = (folder: string, backend: BackendName, longest?: number) => Promise<Comparison[]>

/** What a golden folder holds: how it is checked. */
export type Kind = { check: Check; backends: readonly BackendName[] } | 'no golden folder'

/** In plain JavaScript, as tests run it, `tfjs` is slow: of each family one folder or two. */
const onTfjs = [
  ...['hf-mamba', 'hf-falcon-mamba', 'hf-mamba2', 'ssm-mamba3', 'caduceus-ph', 's4d', 's5'],
  ...['hf-jamba', 'hf-falcon-h1', 'hf-granite-hybrid', 'hf-granite-hybrid-moe', 'hf-qwen3-next'],
  ...['kernel-mamba3-2x64x4x8', 'kernel-mamba3-initial-states', 'retnet-retention'],
]

/**
 * In float32, `cpu` with polynomial exponentials: they are given 20 times the tolerance; `webgpu`, whose functions are as good as the
 * card's, 50 times.
 */
export const slack: Record<BackendName, number> = { reference: 1, cpu: 20, tfjs: 20, webgpu: 50 }

export async function goldenFolders(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  return names.sort().map((name) => join(root, name))
}

export async function kindOf(folder: string): Promise<Kind> {
  if (await exists(join(folder, 'tokenizer_cases.json'))) return { check: checkTokenizer, backends: ['reference'] }
  if (!(await exists(join(folder, 'config.json')))) return 'no golden folder'
  const config = await readConfig(folder)
  const backends: BackendName[] = ['reference', 'cpu', ...(gpu ? (['webgpu'] as const) : [])]
  if (onTfjs.includes(basename(folder))) backends.push('tfjs')
  if (config.kind === 's4d') return { check: checkS4d, backends }
  if (config.model_type === 'flowstate') return { check: checkFlowState, backends }
  if (config.num_labels) return { check: checkClassifier, backends }
  if (config.kind === 's5') return { check: checkS5, backends }
  if (config.kind === 's4block-diag') return { check: checkS4block, backends }
  if (config.kind === 'retnet-retention') return { check: checkRetention, backends }
  if (config.kind === 'mixture-of-mamba') return { check: checkMixtureOfMamba, backends }
  if (config.rope_angles) return { check: checkMamba3, backends }
  if (config.kernel === 'ssd') return { check: checkSsd, backends }
  return { check: config.kernel === 'selective_scan' ? checkKernel : checkModel, backends }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
