import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Model, openModel } from '../../src/index.js'
import { reverseComplementIds } from '../../src/layers/reverse-complement.js'
import { concatenate } from '../../src/runtime/concatenate.js'
import { Expected, readConfig } from './expected.js'
import { type Check, slack } from './folders.js'

/** The poolings of which the official code is capable; what `first` and `last` would be it fails to compute. */
const poolings = ['mean', 'max'] as const

/** Caduceus with a head of classes, once for each pooling, of which a config says nothing. */
export const checkClassifier: Check = async (folder, backend, longest = Number.POSITIVE_INFINITY) => {
  const expected = await Expected.read(folder, slack[backend])
  const config = await readConfig(folder)
  const complement = Array.from({ length: 16 }, (_, id) => config.complement_map[id] ?? id)
  const scratch = await mkdtemp(join(tmpdir(), 'longwave-golden-'))
  try {
    await symlink(resolve(folder, 'model.safetensors'), join(scratch, 'model.safetensors'))
    for (const pooling of poolings) {
      const how = pooling === 'mean' ? {} : { pooling_strategy: pooling }
      await writeFile(join(scratch, 'config.json'), JSON.stringify({ ...config, ...how }))
      const model = await openModel(scratch, { device: backend, chunk: 64 })
      try {
        for (const key of expected.names('').filter((name) => name.endsWith('.input_ids'))) {
          const name = key.slice(0, -'.input_ids'.length)
          if (expected.get(key).shape[1] > longest) expected.leaveOut(`${name}.`)
          else await checkCase(model, expected, name, `logits_${pooling}`, complement)
        }
      } finally {
        await model.close()
      }
    }
    expected.checkAllCompared(/logits_(first|last)/)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  return expected.comparisons
}

async function checkCase(model: Model, expected: Expected, name: string, logits: string, complement: number[]) {
  const { shape, data } = expected.get(`${name}.input_ids`)
  const [B, L] = shape
  const rows = Array.from({ length: B }, (_, b) => Int32Array.from(data.subarray(b * L, (b + 1) * L)))
  const run = async (rows: Int32Array[]) => {
    const said = []
    for (const ids of rows) said.push(await model.forward(ids, { hidden: 'last' }))
    return {
      logits: concatenate(said.map(({ logits }) => logits!)),
      last: concatenate(said.map(({ hidden }) => hidden as Float32Array)),
    }
  }
  const one = await run(rows)
  expected.compare(`${name}.last_hidden_state`, one.last)
  expected.compare(`${name}.${logits}`, one.logits)
  const both = ['of_rc_input', 'conjoin'].map((what) => `${name}.${logits}_${what}`)
  if (!both.some((what) => expected.has(what))) return
  const { logits: other } = await run(rows.map((ids) => reverseComplementIds(ids, complement)))
  const mean = Array.from(one.logits, (x, i) => (x + other[i]) / 2)
  for (const [i, what] of both.entries()) if (expected.has(what)) expected.compare(what, [other, mean][i])
}
